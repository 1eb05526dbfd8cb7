package wsconn

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// unacked returns how many bytes that were written to a socket the peer has not taken: its
// kernel acknowledges what the program behind it makes room for. ok is false where nobody
// knows.
func unacked(raw syscall.RawConn) (n int, ok bool) {
	if raw == nil {
		return 0, false
	}
	err := raw.Control(func(fd uintptr) {
		var failed error
		n, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) //nolint:gosec // a descriptor
		ok = failed == nil
	})
	return n, ok && err == nil
}

// seesHangup says that hangup works here.
const seesHangup = true

// hangup waits until the peer has ended its side of a socket, by FIN or RST, whatever stands
// unread before it, or the socket is closed, and returns true; or until its read deadline.
func hangup(raw syscall.RawConn) (gone bool) {
	err := raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} //nolint:gosec // a descriptor
		n, err := unix.Poll(poll, 0)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(poll, 0)
		}
		gone = err == nil && n > 0
		return gone
	})
	return gone || err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}
