//go:build !(linux || darwin || freebsd || windows)

package doctor

// freeSpace is not known here.
func freeSpace(string) (uint64, bool) { return 0, false }
