package wsroute

// growStack makes room on a stack that is still shallow for what resolving a handshake or writing
// a line of log takes. Growing it twice from within takes 7 % more of a handshake's processor time.
func growStack() { frameOf10K(false) }

//go:noinline
func frameOf10K(use bool) byte {
	if !use { // nothing is cleared
		return 0
	}
	var room [10 << 10]byte
	return last(room[:])
}

//go:noinline
func last(room []byte) byte { return room[len(room)-1] }
