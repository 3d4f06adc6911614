package fuzzing

// Check is the property: it returns an error that says what is wrong if codec
// breaks, for these data, a sentence of the contract of [Codec], and nil if it
// doesn't. The data are any bytes, also none; Check may take them for plain
// bytes, for a packing, and for choices that it has to make.
//
// Check leaves data as they are, depends on nothing but its arguments, and calls
// the codec at most [MaxCalls] times. It does not handle a codec's panics: the
// fuzzer does.
func Check(codec Codec, data []byte) error {
	panic("TODO: state what holds for every right codec")
}

// Seeds returns the data from which a fuzzer starts: at most 64 of them, none
// longer than 4096 bytes.
func Seeds() [][]byte {
	panic("TODO: give the fuzzer something to start from")
}
