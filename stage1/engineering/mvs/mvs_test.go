package mvs_test

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/mod/module"

	"github.com/roadkata/roadkata/stage1/engineering/mvs"
)

// proxy is a Source in memory: go.mod files by module version.
type proxy map[module.Version]string

func (p proxy) Versions(path string) ([]string, error) {
	var list []string
	for m := range p {
		if m.Path == path {
			list = append(list, m.Version)
		}
	}
	return list, nil
}

func (p proxy) GoMod(m module.Version) ([]byte, error) {
	text, ok := p[m]
	if !ok {
		return nil, fmt.Errorf("%v is not on the proxy", m)
	}
	return []byte(text), nil
}

var published = proxy{
	{Path: "example.com/a", Version: "v1.1.0"}: "module example.com/a\nrequire example.com/c v1.2.0\n",
	{Path: "example.com/b", Version: "v1.0.0"}: "module example.com/b\nrequire example.com/c v1.3.0\n",
	{Path: "example.com/c", Version: "v1.2.0"}: "module example.com/c\n",
	{Path: "example.com/c", Version: "v1.3.0"}: "module example.com/c\n",
	{Path: "example.com/c", Version: "v1.4.0"}: "module example.com/c\n",
	{Path: "example.com/c", Version: "v1.5.0"}: "module example.com/c\nretract v1.5.0 // published by mistake\n",
}

var main = []byte(`module example.com/main

go 1.16

require (
	example.com/a v1.1.0
	example.com/b v1.0.0
)
`)

// a wants c v1.2.0, b wants c v1.3.0: v1.3.0 satisfies both. v1.4.0 is newer, but nobody asked for it.
func TestExampleBuildList(t *testing.T) {
	got, err := mvs.BuildList(main, published)
	want := []mvs.Module{
		{Path: "example.com/main"},
		{Path: "example.com/a", Version: "v1.1.0"},
		{Path: "example.com/b", Version: "v1.0.0"},
		{Path: "example.com/c", Version: "v1.3.0"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("BuildList = %+v, %v\nwant %+v", got, err, want)
	}
}

func TestExampleLatest(t *testing.T) {
	got, err := mvs.Latest(main, "example.com/c", published)
	if err != nil || got != "v1.4.0" {
		t.Errorf("Latest(example.com/c) = %q, %v, want v1.4.0: v1.5.0 retracts itself", got, err)
	}
}
