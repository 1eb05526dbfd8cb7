package wsroute

// A goroutine begins with a small stack, which is copied whenever it gets too small for
// the calls that are on it by then. It is cheaper to make room before there are any.

// growStack makes room for what resolving a handshake or writing a line of log usually
// takes. During a handshake the stack is net/http's, and goes with its goroutine.
//
//go:noinline
func growStack() {
	var room [10 << 10]byte
	touch(&room)
}

// growIdle makes room for what a goroutine of an open connection takes until it waits.
//
//go:noinline
func growIdle() {
	var room [2 << 10]byte
	touchIdle(&room)
}

//go:noinline
func touch(room *[10 << 10]byte) { room[0] = 1 }

//go:noinline
func touchIdle(room *[2 << 10]byte) { room[0] = 1 }
