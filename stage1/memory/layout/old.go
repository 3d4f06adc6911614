package layout

// Old is the trade as it grew over the years. It takes 72 bytes on 64-bit machines.
type Old struct {
	Active   bool
	Price    int64 // in millionths
	Side     byte
	Symbol   string
	Venue    uint16
	Time     int64 // nanoseconds since 1970
	Quantity uint32
	Hidden   bool
	Flags    uint16
	_        [0]func() // makes == between trades a compile error
}
