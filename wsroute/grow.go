package wsroute

// growStack makes room on the goroutine's stack for what most connections need
// until they wait: once, while there is little to move, in place of three times
// with ever more calls on it.
//
//go:noinline
func growStack() {
	var room [5 << 10]byte
	touch(&room)
}

//go:noinline
func touch(room *[5 << 10]byte) { room[0] = 1 }
