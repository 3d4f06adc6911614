package amqptest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The kinds of frames, and the octet that ends each.
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8
	frameEnd       = 0xCE
)

const protocolHeader = "AMQP\x00\x00\x09\x01"

// method is a method's class and number, as 60<<16 | 40.
type method uint32

func id(class, number uint16) method { return method(class)<<16 | method(number) }

var (
	connectionStart   = id(10, 10)
	connectionStartOk = id(10, 11)
	connectionTune    = id(10, 30)
	connectionTuneOk  = id(10, 31)
	connectionOpen    = id(10, 40)
	connectionOpenOk  = id(10, 41)
	connectionClose   = id(10, 50)
	connectionCloseOk = id(10, 51)
	channelOpen       = id(20, 10)
	channelOpenOk     = id(20, 11)
	channelFlow       = id(20, 20)
	channelFlowOk     = id(20, 21)
	channelClose      = id(20, 40)
	channelCloseOk    = id(20, 41)
	exchangeDeclare   = id(40, 10)
	exchangeDeclareOk = id(40, 11)
	exchangeDelete    = id(40, 20)
	exchangeDeleteOk  = id(40, 21)
	queueDeclare      = id(50, 10)
	queueDeclareOk    = id(50, 11)
	queueBind         = id(50, 20)
	queueBindOk       = id(50, 21)
	queuePurge        = id(50, 30)
	queuePurgeOk      = id(50, 31)
	queueDelete       = id(50, 40)
	queueDeleteOk     = id(50, 41)
	queueUnbind       = id(50, 50)
	queueUnbindOk     = id(50, 51)
	basicQos          = id(60, 10)
	basicQosOk        = id(60, 11)
	basicConsume      = id(60, 20)
	basicConsumeOk    = id(60, 21)
	basicCancel       = id(60, 30)
	basicCancelOk     = id(60, 31)
	basicPublish      = id(60, 40)
	basicReturn       = id(60, 50)
	basicDeliver      = id(60, 60)
	basicGet          = id(60, 70)
	basicGetOk        = id(60, 71)
	basicGetEmpty     = id(60, 72)
	basicAck          = id(60, 80)
	basicReject       = id(60, 90)
	basicRecover      = id(60, 110)
	basicRecoverOk    = id(60, 111)
	basicNack         = id(60, 120)
	confirmSelect     = id(85, 10)
	confirmSelectOk   = id(85, 11)
)

// frame is one frame.
type frame struct {
	kind    byte
	channel uint16
	payload []byte
}

func readFrame(r io.Reader) (frame, error) {
	var head [7]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: head[0], channel: binary.BigEndian.Uint16(head[1:])}
	size := binary.BigEndian.Uint32(head[3:])
	if size > 16<<20 {
		return frame{}, fmt.Errorf("amqptest: a frame of %d bytes", size)
	}
	rest := make([]byte, size+1)
	if _, err := io.ReadFull(r, rest); err != nil {
		return frame{}, err
	}
	if rest[size] != frameEnd {
		return frame{}, errors.New("amqptest: a frame without its end")
	}
	f.payload = rest[:size]
	return f, nil
}

func (f frame) append(b []byte) []byte {
	b = append(b, f.kind)
	b = binary.BigEndian.AppendUint16(b, f.channel)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.payload)))
	return append(append(b, f.payload...), frameEnd)
}

// method is the frame's method, 0 if it carries none.
func (f frame) method() method {
	if f.kind != frameMethod || len(f.payload) < 4 {
		return 0
	}
	return method(binary.BigEndian.Uint32(f.payload))
}

// args reads the arguments of the frame's method.
func (f frame) args() *reader { return &reader{b: f.payload[4:]} }

var errShort = errors.New("amqptest: arguments end too early")

// reader reads arguments; the first error stays.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err = errors.Join(r.err, errShort)
		r.b = nil
		return make([]byte, min(max(n, 0), 8))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) octet() byte      { return r.take(1)[0] }
func (r *reader) short() uint16    { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) long() uint32     { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) longlong() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) shortstr() string { return string(r.take(int(r.octet()))) }
func (r *reader) longstr() string  { return string(r.take(int(r.long()))) }

// bits reads an octet of flags, the first one lowest.
func (r *reader) bits() (b [8]bool) {
	v := r.octet()
	for i := range b {
		b[i] = v>>i&1 == 1
	}
	return b
}

func (r *reader) table() amqp.Table {
	in := &reader{b: r.take(int(r.long())), err: r.err}
	t := amqp.Table{}
	for len(in.b) > 0 && in.err == nil {
		k := in.shortstr()
		t[k] = in.field()
	}
	r.err = in.err
	return t
}

func (r *reader) field() any {
	switch kind := r.octet(); kind {
	case 't':
		return r.octet() != 0
	case 'b':
		return int8(r.octet())
	case 'B':
		return r.octet()
	case 's':
		return int16(r.short())
	case 'u':
		return r.short()
	case 'I':
		return int32(r.long())
	case 'i':
		return r.long()
	case 'l':
		return int64(r.longlong())
	case 'f':
		return math.Float32frombits(r.long())
	case 'd':
		return math.Float64frombits(r.longlong())
	case 'D':
		return amqp.Decimal{Scale: r.octet(), Value: int32(r.long())}
	case 'S':
		return r.longstr()
	case 'x':
		return slices.Clone(r.take(int(r.long())))
	case 'T':
		return time.Unix(int64(r.longlong()), 0)
	case 'F':
		return r.table()
	case 'V':
		return nil
	case 'A':
		in := &reader{b: r.take(int(r.long())), err: r.err}
		list := []any{}
		for len(in.b) > 0 && in.err == nil {
			list = append(list, in.field())
		}
		r.err = in.err
		return list
	default:
		r.err = fmt.Errorf("amqptest: a field of the unknown kind %q", kind)
		return nil
	}
}

// writer puts arguments together.
type writer struct{ b []byte }

func call(m method) *writer { return &writer{binary.BigEndian.AppendUint32(nil, uint32(m))} }

func (w *writer) octet(v byte) *writer { w.b = append(w.b, v); return w }
func (w *writer) short(v uint16) *writer {
	w.b = binary.BigEndian.AppendUint16(w.b, v)
	return w
}
func (w *writer) long(v uint32) *writer {
	w.b = binary.BigEndian.AppendUint32(w.b, v)
	return w
}
func (w *writer) longlong(v uint64) *writer {
	w.b = binary.BigEndian.AppendUint64(w.b, v)
	return w
}
func (w *writer) shortstr(s string) *writer {
	s = s[:min(len(s), 255)]
	w.octet(byte(len(s)))
	w.b = append(w.b, s...)
	return w
}
func (w *writer) longstr(s string) *writer {
	w.long(uint32(len(s)))
	w.b = append(w.b, s...)
	return w
}
func (w *writer) bits(flags ...bool) *writer {
	var v byte
	for i, f := range flags {
		if f {
			v |= 1 << i
		}
	}
	return w.octet(v)
}

func (w *writer) table(t amqp.Table) *writer {
	in := &writer{}
	for k, v := range t {
		in.shortstr(k).field(v)
	}
	return w.longstr(string(in.b))
}

func (w *writer) field(v any) *writer {
	switch v := v.(type) {
	case bool:
		return w.octet('t').bits(v)
	case int8:
		return w.octet('b').octet(byte(v))
	case byte:
		return w.octet('B').octet(v)
	case int16:
		return w.octet('s').short(uint16(v))
	case uint16:
		return w.octet('u').short(v)
	case int32:
		return w.octet('I').long(uint32(v))
	case uint32:
		return w.octet('i').long(v)
	case int64:
		return w.octet('l').longlong(uint64(v))
	case float32:
		return w.octet('f').long(math.Float32bits(v))
	case float64:
		return w.octet('d').longlong(math.Float64bits(v))
	case amqp.Decimal:
		return w.octet('D').octet(v.Scale).long(uint32(v.Value))
	case string:
		return w.octet('S').longstr(v)
	case []byte:
		return w.octet('x').longstr(string(v))
	case time.Time:
		return w.octet('T').longlong(uint64(v.Unix()))
	case amqp.Table:
		return w.octet('F').table(v)
	case []any:
		in := &writer{}
		for _, e := range v {
			in.field(e)
		}
		return w.octet('A').longstr(string(in.b))
	default:
		return w.octet('V')
	}
}

// properties are the properties of a message that the broker or a test looks at. The other ones pass through in their own bytes.
type properties struct {
	headers    amqp.Table // nil if there are none
	mode       byte
	expiration string
	messageID  string

	flags   uint16
	strings map[int]string // by bit: those that are strings
	octets  map[int]byte
	stamp   uint64
}

// The bits of a content header's flags; what is neither of these is a short string.
const (
	bitHeaders    = 13
	bitMode       = 12
	bitPriority   = 11
	bitExpiration = 8
	bitMessageID  = 7
	bitTimestamp  = 6
)

func (r *reader) properties() properties {
	p := properties{flags: r.short(), strings: map[int]string{}, octets: map[int]byte{}}
	for bit := 15; bit >= 2; bit-- {
		if p.flags>>bit&1 == 0 {
			continue
		}
		switch bit {
		case bitHeaders:
			p.headers = r.table()
		case bitMode, bitPriority:
			p.octets[bit] = r.octet()
		case bitTimestamp:
			p.stamp = r.longlong()
		default:
			p.strings[bit] = r.shortstr()
		}
	}
	p.mode, p.expiration, p.messageID = p.octets[bitMode], p.strings[bitExpiration], p.strings[bitMessageID]
	return p
}

func (w *writer) properties(p properties) *writer {
	flags := p.flags &^ (1<<bitHeaders | 1<<bitExpiration)
	if p.headers != nil {
		flags |= 1 << bitHeaders
	}
	if p.expiration != "" {
		flags |= 1 << bitExpiration
	}
	w.short(flags)
	for bit := 15; bit >= 2; bit-- {
		if flags>>bit&1 == 0 {
			continue
		}
		switch bit {
		case bitHeaders:
			w.table(p.headers)
		case bitMode, bitPriority:
			w.octet(p.octets[bit])
		case bitTimestamp:
			w.longlong(p.stamp)
		default:
			w.shortstr(p.strings[bit])
		}
	}
	return w
}
