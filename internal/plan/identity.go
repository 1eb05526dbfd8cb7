package plan

import "sync"

// Identity is whose connection it is, once somebody has said so.
type Identity struct {
	mu        sync.Mutex
	principal string
}

// Set replaces what was said before.
func (i *Identity) Set(principal string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.principal = principal
}

// Principal returns what was said last, or "".
func (i *Identity) Principal() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.principal
}
