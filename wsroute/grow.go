package wsroute

// growStack makes room on the goroutine's stack for what resolving a handshake
// usually takes: once, while there is little to move, in place of twice with ever
// more calls on it. The stack is net/http's, and goes with its goroutine.
//
//go:noinline
func growStack() {
	var room [10 << 10]byte
	touch(&room)
}

//go:noinline
func touch(room *[10 << 10]byte) { room[0] = 1 }
