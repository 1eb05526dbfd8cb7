//go:build !linux

package wsconn

import "syscall"

// unacked does not know here how much the peer has taken.
func unacked(syscall.RawConn) (n int, ok bool) { return 0, false }

// seesHangup says that hangup does not work here.
const seesHangup = false

func hangup(syscall.RawConn) (gone bool) { return false }
