// Package workspace lays out the module proxy of the shop, so that the go command can be run on it offline. It is given.
package workspace

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
	"golang.org/x/tools/txtar"
)

// proxy holds what has been published, as files named path@version/name.
//
//go:embed proxy.txtar
var proxy []byte

// published is a module version by its name, path@version: file name → content.
func published() (names []string, files map[string]map[string][]byte) {
	files = map[string]map[string][]byte{}
	for _, f := range txtar.Parse(proxy).Files {
		at := strings.Index(f.Name, "@")
		slash := at + strings.Index(f.Name[at:], "/")
		name := f.Name[:slash]
		if files[name] == nil {
			files[name] = map[string][]byte{}
			names = append(names, name)
		}
		files[name][f.Name[slash+1:]] = f.Data
	}
	return names, files
}

// Lay writes the module proxy below dir.
func Lay(dir string) error {
	names, files := published()
	for _, name := range names {
		path, version, _ := strings.Cut(name, "@")
		at := filepath.Join(dir, filepath.FromSlash(path), "@v")
		if err := os.MkdirAll(at, 0o777); err != nil {
			return err
		}
		var zipped bytes.Buffer
		var list []zip.File
		for _, name := range slices.Sorted(maps.Keys(files[name])) {
			list = append(list, file{name, files[path+"@"+version][name]})
		}
		if err := zip.Create(&zipped, module.Version{Path: path, Version: version}, list); err != nil {
			return err
		}
		for ext, data := range map[string][]byte{
			".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2025-01-01T00:00:00Z"}`, version),
			".mod":  files[name]["go.mod"],
			".zip":  zipped.Bytes(),
		} {
			if err := os.WriteFile(filepath.Join(at, version+ext), data, 0o666); err != nil {
				return err
			}
		}
		versions, err := os.OpenFile(filepath.Join(at, "list"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		fmt.Fprintln(versions, version)
		if err := versions.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Sums returns the right go.sum lines of everything on the proxy.
func Sums() ([]string, error) {
	names, files := published()
	var lines []string
	for _, name := range names {
		path, version, _ := strings.Cut(name, "@")
		hash := func(prefix string, names []string) (string, error) {
			return dirhash.Hash1(names, func(full string) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(files[name][strings.TrimPrefix(full, prefix)])), nil
			})
		}
		var all []string
		for rel := range files[name] {
			all = append(all, name+"/"+rel)
		}
		whole, err := hash(name+"/", all)
		if err != nil {
			return nil, err
		}
		mod, err := hash("", []string{"go.mod"})
		if err != nil {
			return nil, err
		}
		lines = append(lines, path+" "+version+" "+whole, path+" "+version+"/go.mod "+mod)
	}
	slices.Sort(lines)
	return lines, nil
}

// Env returns the environment in which the go command knows only the proxy that was laid out below dir, and keeps
// its module cache there, too.
func Env(dir string) []string {
	return append(os.Environ(),
		"GOPROXY=file://"+filepath.ToSlash(filepath.Join(dir, "proxy")),
		"GOMODCACHE="+filepath.Join(dir, "modcache"),
		"GOFLAGS=-modcacherw -buildvcs=false",
		"GOSUMDB=off", "GONOSUMDB=", "GOPRIVATE=", "GONOPROXY=none", "GOINSECURE=", "GOVCS=*:off",
		"GOTOOLCHAIN=local", "GO111MODULE=", "GOENV=off",
	)
}

// file is a zip.File in memory.
type file struct {
	name string
	data []byte
}

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return info{f}, nil }
func (f file) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.data)), nil }

type info struct{ f file }

func (i info) Name() string       { return filepath.Base(i.f.name) }
func (i info) Size() int64        { return int64(len(i.f.data)) }
func (i info) Mode() os.FileMode  { return 0o644 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
