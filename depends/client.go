package depends

import "net/netip"

// ClientAddr is a field of an input struct: the address of the peer. Behind a
// proxy that wsroute.Config.TrustedProxies names, it is the address that the
// proxy saw; a header of anybody else is not believed. It is invalid if the
// connection has no IP address, such as one over a Unix socket.
type ClientAddr struct{ netip.Addr }
