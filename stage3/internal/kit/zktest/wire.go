package zktest

import (
	"encoding/binary"
	"errors"
	"io"
)

// The operations of the protocol that this package knows; others are answered with errUnimplemented.
const (
	opCreate          = 1
	opDelete          = 2
	opExists          = 3
	opGetData         = 4
	opSetData         = 5
	opGetChildren     = 8
	opSync            = 9
	opPing            = 11
	opGetChildren2    = 12
	opCreate2         = 15
	opCreateContainer = 19
	opSetAuth         = 100
	opSetWatches      = 101
	opClose           = -11
)

var opNames = map[int32]string{
	opCreate: "create", opDelete: "delete", opExists: "exists", opGetData: "getData", opSetData: "setData",
	opGetChildren: "getChildren", opSync: "sync", opPing: "ping", opGetChildren2: "getChildren", opCreate2: "create",
	opCreateContainer: "create", opSetAuth: "setAuth", opSetWatches: "setWatches", opClose: "close",
}

// Error codes.
const (
	errOK                      = 0
	errMarshalling             = -5
	errUnimplemented           = -6
	errBadArguments            = -8
	errNoNode                  = -101
	errBadVersion              = -103
	errNoChildrenForEphemerals = -108
	errNodeExists              = -110
	errNotEmpty                = -111
)

// Kinds of watch events.
const (
	eventCreated         = 1
	eventDeleted         = 2
	eventDataChanged     = 3
	eventChildrenChanged = 4
)

// Answers that belong to no request carry these instead of a request's number.
const (
	xidEvent = -1
	xidPing  = -2
)

var errShort = errors.New("zktest: a packet is shorter than it says")

// readPacket reads one packet, without its length.
func readPacket(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > 4<<20 {
		return nil, errors.New("zktest: a packet of more than 4 MB")
	}
	packet := make([]byte, n)
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// framed puts a packet's length in front of it.
func framed(packet []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)
}

// reader takes a packet apart, in ZooKeeper's encoding (jute). After the packet's end it yields zeroes and remembers it.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.short, r.b = true, nil
		return make([]byte, min(max(n, 0), 8))
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *reader) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }
func (r *reader) bool() bool   { return r.take(1)[0] != 0 }

// buffer reads bytes; a length of -1 means none.
func (r *reader) buffer() []byte {
	if n := r.int32(); n > 0 {
		return append([]byte(nil), r.take(int(n))...)
	}
	return nil
}

func (r *reader) string() string { return string(r.buffer()) }

func (r *reader) strings() []string {
	var list []string
	for n := r.int32(); n > 0 && !r.short; n-- {
		list = append(list, r.string())
	}
	return list
}

// writer puts a packet together.
type writer struct{ b []byte }

func (w *writer) int32(v int32) *writer {
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(v))
	return w
}
func (w *writer) int64(v int64) *writer {
	w.b = binary.BigEndian.AppendUint64(w.b, uint64(v))
	return w
}

func (w *writer) buffer(v []byte) *writer {
	w.int32(int32(len(v)))
	w.b = append(w.b, v...)
	return w
}

func (w *writer) string(v string) *writer { return w.buffer([]byte(v)) }

func (w *writer) strings(list []string) *writer {
	w.int32(int32(len(list)))
	for _, s := range list {
		w.string(s)
	}
	return w
}

// connectRequest is the first packet of a client.
type connectRequest struct {
	timeout  int32 // in milliseconds
	session  int64
	password []byte
}

func (c connectRequest) packet() []byte {
	w := &writer{}
	w.int32(0).int64(0).int32(c.timeout).int64(c.session).buffer(c.password)
	return w.b
}

func parseConnectRequest(packet []byte) (c connectRequest, err error) {
	r := &reader{b: packet}
	r.int32() // protocol version
	r.int64() // the last zxid that the client has seen
	c.timeout, c.session, c.password = r.int32(), r.int64(), r.buffer()
	if r.short {
		err = errShort
	}
	return c, err
}

// connectResponse is the first packet of a server; a session of 0 says that the one asked for is no more.
type connectResponse struct {
	timeout  int32
	session  int64
	password []byte
}

func (c connectResponse) packet() []byte {
	w := &writer{}
	w.int32(0).int32(c.timeout).int64(c.session).buffer(c.password)
	return w.b
}

func parseConnectResponse(packet []byte) (c connectResponse, err error) {
	r := &reader{b: packet}
	r.int32()
	c.timeout, c.session, c.password = r.int32(), r.int64(), r.buffer()
	if r.short {
		err = errShort
	}
	return c, err
}
