package security

// Ready returns what Use installs for a scheme.
func Ready[T any](scheme Scheme[T]) Scheme[T] { return ready(scheme) }

// CheckClaimMembers is the scan of a payload.
func CheckClaimMembers(data []byte) error { return checkMembers(data, claimMembers) }
