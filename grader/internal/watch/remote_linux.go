package watch

import "syscall"

// remoteTypes are file systems on which another machine, or the host of a virtual
// one, may write without inotify hearing of it: their magic numbers in statfs(2).
var remoteTypes = map[uint32]string{
	0x6969:     "NFS",
	0x517B:     "SMB",
	0xFF534D42: "CIFS",
	0xFE534D42: "SMB2",
	0x01021997: "9P", // Windows drives below WSL
	0x65735546: "FUSE",
	0x5346414F: "AFS",
	0x00C36400: "Ceph",
	0x786F4256: "vboxsf",
}

// remote names the file system of dir if its notifications are not to be trusted.
func remote(dir string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return ""
	}
	return remoteTypes[uint32(s.Type)]
}
