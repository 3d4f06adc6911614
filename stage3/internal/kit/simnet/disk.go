package simnet

// A Disk is what a node keeps over a crash: the value that was saved last. The zero value holds the zero value of S. If S holds slices, maps or
// pointers, set Clone: a disk shares no memory with the machine that writes to it.
type Disk[S any] struct {
	Clone func(S) S

	value  S
	writes int
}

// Save writes a value, durably.
func (d *Disk[S]) Save(value S) {
	d.value = d.clone(value)
	d.writes++
}

// Load reads what was saved last.
func (d *Disk[S]) Load() S { return d.clone(d.value) }

// Writes is how often Save was called.
func (d *Disk[S]) Writes() int { return d.writes }

func (d *Disk[S]) clone(value S) S {
	if d.Clone == nil {
		return value
	}
	return d.Clone(value)
}
