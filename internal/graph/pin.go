package graph

// epoch is the time between two replacements of the values of a connection.
type epoch struct {
	pins     int  // messages that began in it and have not ended
	replaced bool // it is over
	idle     chan struct{}
	released chan struct{} // closed when its values and those from before are
}

// Pinned are the values of one moment.
type Pinned struct {
	state  *state
	epoch  *epoch // nil if values are never replaced
	values *Values
}

// Pin returns the current values, which are not released before Unpin is called.
func (v *Values) Pin() Pinned {
	if v.free == nil {
		return Pinned{state: v.current.Load()}
	}
	v.pinning.Lock()
	defer v.pinning.Unlock()
	v.epoch.pins++
	return Pinned{v.current.Load(), v.epoch, v}
}

// Unpin says that a message has done with its values.
func (p Pinned) Unpin() {
	if p.epoch == nil {
		return
	}
	p.values.pinning.Lock()
	defer p.values.pinning.Unlock()
	p.epoch.pins--
	p.epoch.settle()
}

// settle says that nobody works with the values of an epoch that is over; its lock is held.
func (e *epoch) settle() {
	if e.replaced && e.pins == 0 {
		close(e.idle)
	}
}

// WhenUnpinned calls release, for values that were replaced just now, once no message works
// with them or with older ones, and those are released: now, or on a goroutine of its own.
func (v *Values) WhenUnpinned(release func()) {
	v.pinning.Lock()
	before, last := v.before, v.epoch
	v.before, v.epoch = last.released, newEpoch()
	last.replaced = true
	last.settle()
	v.pinning.Unlock()
	end := func() {
		<-last.idle
		<-before
		release()
		close(last.released)
	}
	if isClosed(last.idle) && isClosed(before) {
		end()
	} else {
		go end()
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func newEpoch() *epoch {
	return &epoch{idle: make(chan struct{}), released: make(chan struct{})}
}

// released is of what is older than the first values.
var released = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
