package dockerbuild

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var context = fstest.MapFS{
	"go.mod":          {Data: []byte("module example.com/m\n")},
	"go.sum":          {},
	"cmd/a/main.go":   {Data: []byte("package main\n")},
	"cmd/b/main.go":   {Data: []byte("package main\n")},
	"internal/x/x.go": {Data: []byte("package x\n")},
	"internal/x/.env": {},
	"notes.txt":       {},
}

func follow(t *testing.T, dockerfile string, o Options) *Build {
	t.Helper()
	o.Context = context
	b, err := Follow([]byte(dockerfile), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// files lists what lies in the last stage, as path=origin.
func files(b *Build) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(b.Final().Files)) {
		f := b.Final().Files[name]
		switch {
		case f.Context != "":
			name += "=" + f.Context
		case f.Built != nil:
			name += "=" + f.Built.Package + "(" + f.Built.Platform + ")"
		case f.Opaque != nil:
			name += "=" + f.Opaque.Image + ":" + f.Opaque.Path
		case f.Modules:
			name += "=modules"
		}
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

func TestFiles(t *testing.T) {
	for _, test := range []struct{ name, dockerfile, want string }{
		{"file to a name", "FROM scratch\nCOPY notes.txt /a/b", "/a/b=notes.txt"},
		{"file to a folder", "FROM scratch\nCOPY notes.txt /a/", "/a/notes.txt=notes.txt"},
		{"file to the working folder", "FROM scratch\nWORKDIR /w\nCOPY notes.txt .", "/w/notes.txt=notes.txt"},
		{"several files", "FROM scratch\nCOPY go.mod go.sum /a", "/a/go.mod=go.mod /a/go.sum=go.sum"},
		{"a folder's contents", "FROM scratch\nCOPY cmd /c", "/c/a/main.go=cmd/a/main.go /c/b/main.go=cmd/b/main.go"},
		{"into a folder that exists", "FROM scratch\nCOPY cmd /c\nCOPY go.mod /c", "/c/a/main.go=cmd/a/main.go /c/b/main.go=cmd/b/main.go /c/go.mod=go.mod"},
		{"pattern", "FROM scratch\nCOPY go.* /m/", "/m/go.mod=go.mod /m/go.sum=go.sum"},
		{"exclude", "FROM scratch\nCOPY --exclude=**/.env internal /i", "/i/x/x.go=internal/x/x.go"},
		{"parents", "FROM scratch\nCOPY --parents cmd/a/main.go /p", "/p/cmd/a/main.go=cmd/a/main.go"},
		{"variables", "ARG N=notes\nFROM scratch\nARG N\nENV D=/d\nCOPY ${N}.txt $D/", "/d/notes.txt=notes.txt"},
		{"from a stage", "FROM scratch AS s\nCOPY go.mod /x/\nFROM scratch\nCOPY --from=S /x/go.mod /y", "/y=go.mod"},
		{"from a stage by number", "FROM scratch\nCOPY go.mod /x/\nFROM scratch\nCOPY --from=0 /x /y", "/y/go.mod=go.mod"},
		{"from an image", "FROM scratch\nCOPY --from=alpine:3 /etc/passwd /etc/", "/etc=alpine:3:/etc/passwd /etc/passwd=alpine:3:/etc/passwd"},
		{"inherited", "FROM scratch AS s\nCOPY go.mod /x/\nFROM s\nCOPY go.sum /x/", "/x/go.mod=go.mod /x/go.sum=go.sum"},
		{"go build", "FROM golang\nWORKDIR /w\nCOPY go.mod .\nCOPY cmd/a cmd/a\nRUN go build -o /out/p ./cmd/a", "/out/p=cmd/a(linux/amd64) /w/cmd/a/main.go=cmd/a/main.go /w/go.mod=go.mod"},
		{"go build in another folder", "FROM golang\nCOPY . /w\nRUN cd /w/cmd/a && GOARCH=arm64 go build\nFROM scratch\nCOPY --from=0 /w/cmd/a/a /", "/a=cmd/a(linux/arm64)"},
		{"go build of all", "FROM golang\nRUN --mount=type=bind,target=/w go -v; go build -C /w -o /out/ ./...", "/out/a=cmd/a(linux/amd64) /out/b=cmd/b(linux/amd64)"},
		{"go install", "FROM golang\nCOPY . /w\nWORKDIR /w\nRUN GOBIN=/bin go install example.com/m/cmd/b\nFROM scratch\nCOPY --from=0 /bin/b /", "/b=cmd/b(linux/amd64)"},
		{"go mod download", "FROM golang\nRUN go mod download", "/go/pkg/mod/cache/download=modules"},
		{"go mod download into a cache", "FROM golang\nRUN --mount=type=cache,target=/go go mod download", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := follow(t, test.dockerfile, Options{})
			if got := files(b); got != test.want {
				t.Errorf("files: %s\nwant:  %s", got, test.want)
			}
			if len(b.Problems) > 0 {
				t.Errorf("problems: %v", b.Problems)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, test := range []struct{ name, dockerfile, ignore, want string }{
		{"no such file", "FROM scratch\nCOPY nothing /", "", "Dockerfile:2: the build context holds no nothing (or .dockerignore keeps it out)"},
		{"ignored", "FROM scratch\nCOPY notes.txt /", "*.txt", "Dockerfile:2: the build context holds no notes.txt (or .dockerignore keeps it out)"},
		{"no shell", "FROM scratch\nRUN echo", "", "Dockerfile:2: RUN needs a shell, and scratch holds none"},
		{"no module", "FROM golang\nRUN go build", "", "Dockerfile:2: go build runs in /, where no go.mod lies"},
		{"no default", "ARG X\nFROM $X", "", "Dockerfile:2: FROM $X names no image: an ARG in it needs a default"},
		{"not in that stage", "FROM scratch\nFROM scratch\nCOPY --from=0 /a /", "", `Dockerfile:3: stage "0" holds no /a`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := follow(t, test.dockerfile, Options{Ignore: []byte(test.ignore)})
			if len(b.Problems) != 1 || b.Problems[0].String() != test.want {
				t.Errorf("problems: %v\nwant:     [%s]", b.Problems, test.want)
			}
		})
	}
}

func TestArgs(t *testing.T) {
	const dockerfile = `ARG ABOVE=above
FROM --platform=$BUILDPLATFORM golang
ARG ABOVE GIVEN=default TARGETARCH UNGIVEN=default
ENV GIVEN_TOO=$GIVEN
RUN echo $ABOVE $GIVEN $TARGETARCH $UNGIVEN $GIVEN_TOO $BUILDARCH.`
	b := follow(t, dockerfile, Options{Args: map[string]string{"GIVEN": "given"}, BuildPlatform: "linux/amd64", TargetPlatform: "linux/arm64/v8"})
	got := strings.Join(b.Final().Steps[0].Commands[0].Args, " ")
	if want := "echo above given arm64 default given ."; got != want {
		t.Errorf("the RUN is %q, want %q", got, want)
	}
	if b.Final().Platform != "linux/amd64" {
		t.Errorf("platform %q, want that of the builder", b.Final().Platform)
	}
}

func TestShell(t *testing.T) {
	for _, test := range []struct{ script, env, dir string }{
		{"A=1 go", "1", "/w"},
		{"export A=1; go", "1", "/w"},
		{"A=1; go", "", "/w"},
		{"A=1; export A; go", "1", "/w"},
		{"env A=1 go", "1", "/w"},
		{"B=1; A=$B go", "1", "/w"},
		{"B=1 && if true; then A=${B}2 go; fi", "12", "/w"},
		{"cd x && cd y && go", "", "/w/x/y"},
		{"(cd x; export A=1; true); go", "", "/w"},
		{"set -eux; \\\n  cd /z; go", "", "/z"},
	} {
		commands, err := shellCommands(test.script, map[string]string{}, "/w")
		if err != nil {
			t.Fatal(err)
		}
		last := commands[len(commands)-1]
		if last.Args[0] != "go" || last.Env["A"] != test.env || last.Dir != test.dir {
			t.Errorf("%s: %v with A=%q in %s, want [go] with A=%q in %s", test.script, last.Args, last.Env["A"], last.Dir, test.env, test.dir)
		}
	}
}

func TestStart(t *testing.T) {
	const base = "FROM scratch AS base\nCMD [\"old\"]\nUSER 1\nHEALTHCHECK NONE\nFROM base\n"
	for _, test := range []struct {
		name, dockerfile string
		entry, cmd       []string
	}{
		{"inherited", base, nil, []string{"old"}},
		{"an entrypoint drops the inherited command", base + `ENTRYPOINT ["e"]`, []string{"e"}, nil},
		{"but not its own", base + "CMD [\"c\"]\nENTRYPOINT [\"e\"]", []string{"e"}, []string{"c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := follow(t, test.dockerfile, Options{}).Final()
			if got := args(s.Entrypoint); !slices.Equal(got, test.entry) {
				t.Errorf("ENTRYPOINT %v, want %v", got, test.entry)
			}
			if got := args(s.Cmd); !slices.Equal(got, test.cmd) {
				t.Errorf("CMD %v, want %v", got, test.cmd)
			}
			if s.User != "1" || !slices.Equal(args(s.HealthCheck), []string{"NONE"}) {
				t.Errorf("USER %q, HEALTHCHECK %v: not inherited", s.User, args(s.HealthCheck))
			}
		})
	}
}

func args(e *Exec) []string {
	if e == nil {
		return nil
	}
	return e.Args
}

func TestSplit(t *testing.T) {
	for image, want := range map[string][3]string{
		"alpine":                         {"alpine", "", ""},
		"alpine:3.22":                    {"alpine", "3.22", ""},
		"localhost:5000/x":               {"localhost:5000/x", "", ""},
		"localhost:5000/x:1@sha256:abcd": {"localhost:5000/x", "1", "sha256:abcd"},
		"gcr.io/d/static@sha256:abcd":    {"gcr.io/d/static", "", "sha256:abcd"},
	} {
		name, tag, digest := Split(image)
		if got := [3]string{name, tag, digest}; got != want {
			t.Errorf("Split(%s) = %q, want %q", image, got, want)
		}
	}
}
