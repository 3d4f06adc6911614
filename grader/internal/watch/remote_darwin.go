package watch

import (
	"slices"
	"syscall"
)

// remote names the file system of dir if its notifications are not to be trusted.
func remote(dir string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return ""
	}
	var name []byte
	for _, c := range s.Fstypename {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	if slices.Contains([]string{"nfs", "smbfs", "afpfs", "webdav", "macfuse", "osxfuse"}, string(name)) {
		return string(name)
	}
	return ""
}
