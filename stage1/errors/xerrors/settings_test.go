package settings_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	settings "github.com/roadkata/roadkata/stage1/errors/xerrors"
)

func TestExampleGet(t *testing.T) {
	f, err := settings.Parse("# the usual\nport = 8080\n")
	if err != nil {
		t.Fatalf("Parse = %v, want nil", err)
	}

	if got, err := f.Get("port"); got != "8080" || err != nil {
		t.Errorf(`Get("port") = %q, %v, want "8080", nil`, got, err)
	}

	_, err = f.Get("host")
	if !errors.Is(err, settings.ErrNotFound) {
		t.Errorf(`Get("host"): %v, want an error that matches ErrNotFound`, err)
	}
	if got, want := fmt.Sprint(err), `get "host": not found`; got != want {
		t.Errorf(`Get("host"): text %q, want %q`, got, want)
	}
}

func TestExampleTrace(t *testing.T) {
	f, err := settings.Parse("port = 8080")
	if err != nil {
		t.Fatalf("Parse = %v, want nil", err)
	}
	_, err = f.Int("host")

	// Roughly this is wanted, as package legacy prints it:
	//
	//	int "host":
	//	    github.com/roadkata/roadkata/stage1/errors/xerrors.(*File).Int
	//	        /home/you/roadkata/stage1/errors/xerrors/settings.go:76
	//	  - get "host":
	//	    github.com/roadkata/roadkata/stage1/errors/xerrors.(*File).Get
	//	        /home/you/roadkata/stage1/errors/xerrors/settings.go:67
	//	  - not found
	trace := fmt.Sprintf("%+v", err)
	for _, want := range []string{".(*File).Int", ".(*File).Get", "settings.go:", "not found"} {
		if !strings.Contains(trace, want) {
			t.Errorf("%%+v lacks %q:\n%s", want, trace)
		}
	}
}
