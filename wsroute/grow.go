package wsroute

// A goroutine begins with a small stack, which is copied whenever it gets too small for
// the calls that are on it by then. It is cheaper to make room before there are any: a
// function's whole frame is made room for when it is called, whatever it then does.

// growStack makes room for what resolving a handshake or writing a line of log usually
// takes. During a handshake the stack is net/http's, and goes with its goroutine.
func growStack() { frameOf10K(false) }

// growIdle makes room for what the reading goroutine takes until it waits.
func growIdle() { frameOf2K(false) }

//go:noinline
func frameOf10K(use bool) byte {
	if !use { // nothing is cleared
		return 0
	}
	var room [10 << 10]byte
	return last(room[:])
}

//go:noinline
func frameOf2K(use bool) byte {
	if !use {
		return 0
	}
	var room [2 << 10]byte
	return last(room[:])
}

//go:noinline
func last(room []byte) byte { return room[len(room)-1] }
