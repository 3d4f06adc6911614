//go:build !linux && !darwin

package watch

import "path/filepath"

// remote names the file system of dir if its notifications are not to be
// trusted: here only shares by their UNC path can be told.
func remote(dir string) string {
	if v := filepath.VolumeName(dir); len(v) > 2 && v[0] == '\\' && v[1] == '\\' {
		return v
	}
	return ""
}
