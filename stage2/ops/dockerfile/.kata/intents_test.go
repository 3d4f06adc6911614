// A production Dockerfile, judged by the graph of its stages.
//
//kata:level 2
//kata:minutes 60
//kata:engine simulated BuildKit's parser and a walk through its graph; no image is built
package dockerfile_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/roadkata/roadkata/stage2/internal/kit/dockerbuild"
	"github.com/roadkata/roadkata/stage2/ops/dockerfile"
)

// version is what the suite's builds pass as --build-arg VERSION.
const version = "v7.8.9-suite"

// file reads one of the learner's files.
func file(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), name))
	if err != nil {
		t.Fatalf("no %s: %v", name, err)
	}
	return text
}

// follow does what `docker build --build-arg VERSION=… --platform=target .` would do, on an amd64 machine.
func follow(t *testing.T, target string) *dockerbuild.Build {
	t.Helper()
	return followIn(t, dockerfile.Context(), target)
}

// followIn does so in another build context.
func followIn(t *testing.T, context fs.FS, target string) *dockerbuild.Build {
	t.Helper()
	b, err := dockerbuild.Follow(file(t, "Dockerfile"), dockerbuild.Options{
		Context: context, Ignore: file(t, ".dockerignore"),
		Args: map[string]string{"VERSION": version}, BuildPlatform: "linux/amd64", TargetPlatform: target,
	})
	if err != nil {
		t.Fatalf("BuildKit cannot read the Dockerfile: %v", err)
	}
	return b
}

// program finds the compiled service in the image: the one that the last stage holds.
func program(t *testing.T, b *dockerbuild.Build) (at string, g *dockerbuild.GoBuild) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(b.Final().Files)) {
		if g := b.Final().Files[name].Built; g != nil && g.Package == "cmd/notes" {
			return name, g
		}
	}
	t.Fatalf("the last stage (line %d) holds no program that `go build` made of ./cmd/notes", b.Final().Line)
	return "", nil
}

// starts tells whether the words start the service in the image.
func starts(b *dockerbuild.Build, words []string) bool {
	if len(words) == 0 {
		return false
	}
	f, ok := b.Final().Lookup(words[0])
	return ok && f.Built != nil && f.Built.Package == "cmd/notes"
}

// needed are the files without which ./cmd/notes does not compile.
var needed = []string{
	"go.mod", "go.sum", "cmd/notes/main.go", "internal/store/store.go", "internal/store/migrations/0001_notes.sql",
	"internal/web/web.go", "internal/web/page.html",
}

// The build goes through: what is copied exists, go build sees all it needs, and no step wants a shell where there is none.
//
//kata:zh 构建能走到底：COPY 的东西确实存在，go build 看得到所需的一切，没有 shell 的阶段里不用 shell。
func TestBuilds(t *testing.T) {
	b := follow(t, "linux/amd64")
	for _, p := range b.Problems {
		t.Errorf("docker build would fail: %v", p)
	}
	_, g := program(t, b)
	seen := map[string]bool{}
	for _, f := range g.Step.Files {
		seen[f.Context] = true
	}
	for _, name := range needed {
		if !seen[name] {
			t.Errorf("Dockerfile:%d: `go build` does not see %s: it was not copied, or .dockerignore keeps it out", g.Line, name)
		}
	}
}

// Every image is pinned: by a tag for people, and by a digest for the builder.
//
//kata:zh 每个镜像都被锁定：标签给人看，摘要（digest）给构建器用。
func TestPinned(t *testing.T) {
	digest := regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	images := follow(t, "linux/amd64").Images()
	for image, line := range images {
		if image == "scratch" {
			continue
		}
		_, tag, sum := dockerbuild.Split(image)
		switch {
		case sum == "":
			t.Errorf("Dockerfile:%d: image %s has no digest (want name:tag@sha256:…): tomorrow's build may start from another image", line, image)
		case !digest.MatchString(sum):
			t.Errorf("Dockerfile:%d: image %s: %q is no digest, want sha256: and 64 hexadecimal digits", line, image, sum)
		case tag == "":
			t.Errorf("Dockerfile:%d: image %s has a digest but no tag: nobody can read which version it is", line, image)
		}
	}
	delete(images, "scratch")
	if len(images) == 0 {
		t.Error("the Dockerfile names no image to compile in")
	}
}

// A change of sources or of VERSION does not download the modules again.
//
//kata:zh 改源码、改 VERSION 都不会重新下载依赖模块。
func TestDependenciesCached(t *testing.T) {
	_, g := program(t, follow(t, "linux/amd64"))
	cache := g.Command.ModuleCache()
	download, command := downloading(g.Stage)
	if download == nil {
		t.Fatalf("Dockerfile:%d: neither the stage that compiles nor one that it builds on runs `go mod download`: every change of a source file downloads all modules again", g.Line)
	}
	if download.Line == g.Line {
		t.Fatalf("Dockerfile:%d: `go mod download` and `go build` are one RUN, one layer: a change of sources runs both again", g.Line)
	}
	for _, name := range slices.Sorted(maps.Keys(download.Inputs)) {
		if name != "go.mod" && name != "go.sum" {
			t.Errorf("Dockerfile:%d: `go mod download` runs again whenever %s changes: copy only go.mod and go.sum before it", download.Line, name)
			break
		}
	}
	if _, ok := download.Args["VERSION"]; ok {
		t.Errorf("Dockerfile:%d: ARG VERSION stands before `go mod download`: every version downloads all modules again", download.Line)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if !download.Inputs[name] {
			t.Errorf("Dockerfile:%d: `go mod download` runs without %s", download.Line, name)
		}
	}
	inCacheMount := download.Cached(command.ModuleCache())
	switch {
	case command.ModuleCache() != cache:
		t.Errorf("Dockerfile:%d: modules are downloaded to %s, but go build looks for them in %s", g.Line, command.ModuleCache(), cache)
	case inCacheMount && !g.Step.Cached(cache):
		t.Errorf("Dockerfile:%d: the modules went into a cache mount (line %d) that `go build` does not mount: it finds none", g.Line, download.Line)
	case !inCacheMount && g.Step.Cached(cache):
		t.Errorf("Dockerfile:%d: a cache mount hides the modules that line %d left in the layer: `go build` finds none", g.Line, download.Line)
	case !inCacheMount && !hasModules(g.Step):
		t.Errorf("Dockerfile:%d: `go build` does not find the modules that line %d downloaded in another stage", g.Line, download.Line)
	}
}

// downloading finds the step that downloads modules for a stage: in itself, below it, or where it copies from.
func downloading(s *dockerbuild.Stage) (*dockerbuild.Step, *dockerbuild.Command) {
	for ; s != nil; s = s.Base {
		for i, step := range s.Steps {
			for j, c := range step.Commands {
				if c.IsDownload() {
					return &s.Steps[i], &s.Steps[i].Commands[j]
				}
			}
		}
		for _, use := range s.Used {
			if step, c := downloading(use.From); step != nil {
				return step, c
			}
		}
	}
	return nil, nil
}

func hasModules(step *dockerbuild.Step) bool {
	for _, f := range step.Files {
		if f.Modules {
			return true
		}
	}
	return false
}

// The program is linked statically: cgo is off when it is compiled.
//
//kata:zh 程序是静态链接的：编译时 cgo 关闭。
func TestStatic(t *testing.T) {
	_, g := program(t, follow(t, "linux/amd64"))
	if got := g.Command.Env["CGO_ENABLED"]; got != "0" {
		t.Errorf("Dockerfile:%d: go build runs with CGO_ENABLED=%q, want 0: with cgo the program looks for a C library that the image does not hold", g.Line, got)
	}
}

// A build for another platform holds a program for that platform.
//
//kata:zh 为别的平台构建，得到的就是那个平台的程序。
func TestPlatforms(t *testing.T) {
	for _, target := range []string{"linux/amd64", "linux/arm64"} {
		b := follow(t, target)
		if got := b.Final().Platform; got != target {
			t.Errorf("docker build --platform=%s: the last stage starts from an image for %s", target, got)
		}
		if _, g := program(t, b); g.Platform != target {
			t.Errorf("docker build --platform=%s on an amd64 machine: line %d compiles for %s (\"exec format error\" at the first start)", target, g.Line, g.Platform)
		}
	}
}

// The version given by --build-arg is linked into the program.
//
//kata:zh --build-arg 传入的版本号被链接进程序。
func TestVersion(t *testing.T) {
	_, g := program(t, follow(t, "linux/amd64"))
	ldflags := g.Flag("ldflags")
	set := regexp.MustCompile(`-X[ =]['"]?main\.version=([^'" ]*)`).FindStringSubmatch(ldflags)
	switch {
	case set == nil:
		t.Errorf("Dockerfile:%d: go build -ldflags=%q does not set main.version", g.Line, ldflags)
	case set[1] != version:
		t.Errorf("Dockerfile:%d: with --build-arg VERSION=%s, go build sets main.version to %q", g.Line, version, set[1])
	}
}

// The image holds the program and no way to build or to look around: no toolchain, no sources, no shell.
//
//kata:zh 镜像里只有程序，没有编译工具链、源码和 shell。
func TestOnlyTheProgram(t *testing.T) {
	b := follow(t, "linux/amd64")
	final := b.Final()
	if root := final.Root(); !dockerbuild.Shellless(root.Image) {
		t.Errorf("Dockerfile:%d: the image starts from %s, want scratch, gcr.io/distroless/static-… or cgr.dev/chainguard/static (no debug variant)", root.Line, root.Image)
	}
	at, _ := program(t, b)
	for _, name := range slices.Sorted(maps.Keys(final.Files)) {
		f := final.Files[name]
		switch {
		case f.Context != "" && (strings.HasSuffix(f.Context, ".go") || strings.HasPrefix(f.Context, "go.")):
			t.Errorf("the image holds %s, a source file: copy nothing but the program (%s)", name, at)
			return
		case f.Modules:
			t.Errorf("the image holds Go's module cache at %s", name)
		case f.Opaque != nil && (holdsTools(f.Opaque.Path) || dockerbuild.HoldsGo(f.Opaque.Image) && holdsGo(f.Opaque.Path)):
			t.Errorf("the image holds %s of %s, and with it a shell or Go's toolchain", f.Opaque.Path, f.Opaque.Image)
		}
	}
	for _, use := range final.Used {
		if use.Path == "/" {
			t.Errorf("Dockerfile:%d: the whole file system of another stage is copied into the image", use.Line)
		}
	}
}

// holdsGo tells whether a path of a Go image is, or holds, or lies in, the toolchain or the module cache. The time zones lie among Go's
// files, and are data.
func holdsGo(name string) bool {
	if name == "/usr/local/go/lib/time/zoneinfo.zip" {
		return false
	}
	for _, dir := range []string{"/usr/local/go", "/go"} {
		if within(name, dir) || within(dir, name) {
			return true
		}
	}
	return false
}

// holdsTools tells whether a path is a shell, or a folder full of programs.
func holdsTools(name string) bool {
	for _, dir := range []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/lib/apk", "/var/lib/dpkg"} {
		if within(dir, name) {
			return true
		}
	}
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "busybox", "toybox", "apk", "apt-get"}, path.Base(name))
}

// within tells whether name is dir or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// The image holds root certificates: the service calls others over TLS.
//
//kata:zh 镜像里有根证书：服务要通过 TLS 调用别人。
func TestCertificates(t *testing.T) {
	final := follow(t, "linux/amd64").Final()
	if final.Root().Image != "scratch" {
		return // TestOnlyTheProgram names the images that may stand here: they bring certificates
	}
	bundles := []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"}
	if name := final.Env["SSL_CERT_FILE"]; name != "" {
		bundles = []string{name} // crypto/x509 then looks at no other file
	}
	for name, f := range final.Files {
		for _, bundle := range bundles {
			isBundle := name == bundle && (f.Opaque != nil || f.Context != "")
			isFolder := f.Opaque != nil && strings.HasPrefix(bundle, name+"/") && path.Base(f.Opaque.Path) == path.Base(name)
			if isBundle || isFolder {
				return
			}
		}
	}
	t.Error("the image starts from scratch, and no root certificates are copied to /etc/ssl/certs/ca-certificates.crt: every call over TLS fails with \"certificate signed by unknown authority\"")
}

// The service does not run as root, by a number that the orchestrator can check.
//
//kata:zh 服务不以 root 运行，并用编排系统能核对的数字用户。
func TestNotRoot(t *testing.T) {
	user := follow(t, "linux/amd64").Final().User
	id, _, _ := strings.Cut(user, ":")
	uid, err := strconv.Atoi(id)
	switch {
	case user == "":
		t.Error("the last stage says no USER: the service runs as root, or as whoever the base image likes")
	case err != nil:
		t.Errorf("the service runs as USER %s: want a number (65532), for Kubernetes cannot tell whether a name is root (runAsNonRoot)", user)
	case uid <= 0:
		t.Errorf("the service runs as USER %s: that is root", user)
	}
}

// The container's first process is the service itself, not a shell around it.
//
//kata:zh 容器的一号进程就是服务本身，外面没有再包一层 shell。
func TestExecForm(t *testing.T) {
	b := follow(t, "linux/amd64")
	final := b.Final()
	switch e := final.Entrypoint; {
	case e == nil:
		t.Error("the last stage has no ENTRYPOINT")
	case e.Shell:
		t.Errorf("Dockerfile:%d: ENTRYPOINT %s is the shell form: /bin/sh becomes process 1, if there is one, and keeps SIGTERM to itself", e.Line, strings.Join(e.Args, " "))
	case !starts(b, e.Args):
		t.Errorf("Dockerfile:%d: ENTRYPOINT %q does not start the program: what lies in the image is %v", e.Line, e.Args, programs(final))
	}
	if c := final.Cmd; c != nil && c.Shell {
		t.Errorf("Dockerfile:%d: CMD %s is the shell form: the program would be given the arguments /bin/sh, -c and that text", c.Line, strings.Join(c.Args, " "))
	}
}

var healthFlag = regexp.MustCompile(`^--?health(=(1|t|T|true|TRUE|True))?$`)

func programs(s *dockerbuild.Stage) []string {
	var list []string
	for name, f := range s.Files {
		if f.Built != nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// The state of health is stated: by a check that the image can run, or by NONE.
//
//kata:zh 健康检查有明确交代：要么是镜像里跑得起来的检查，要么写明 NONE。
func TestHealthStated(t *testing.T) {
	b := follow(t, "linux/amd64")
	h := b.Final().HealthCheck
	switch {
	case h == nil:
		t.Error("the last stage says nothing about health: write a HEALTHCHECK, or HEALTHCHECK NONE if the orchestrator does it")
	case slices.Equal(h.Args, []string{"NONE"}):
	case h.Shell:
		t.Errorf("Dockerfile:%d: HEALTHCHECK CMD %s is the shell form, and the image holds no shell", h.Line, strings.Join(h.Args, " "))
	case !starts(b, h.Args):
		t.Errorf("Dockerfile:%d: HEALTHCHECK runs %q, which the image does not hold: what it holds is %v", h.Line, h.Args, programs(b.Final()))
	case !slices.ContainsFunc(h.Args, func(word string) bool { return healthFlag.MatchString(word) }):
		t.Errorf("Dockerfile:%d: HEALTHCHECK runs %q: without -health that starts a second server", h.Line, h.Args)
	}
}

// The credential for the private module is seen by the download alone, through a secret mount; no layer, ARG or ENV holds a secret.
//
//kata:zh 私有模块的凭据只通过 secret mount 给下载那一步看；任何层、ARG、ENV 里都没有机密。
func TestNoSecretInLayers(t *testing.T) {
	b := follow(t, "linux/amd64")
	signedIn := false
	for _, s := range b.Stages {
		for _, d := range s.Declared {
			if d.Kind != "LABEL" && looksSecret(d.Key) && !isPath(d.Value) {
				t.Errorf("Dockerfile:%d: %s %s: its value stays in the image's configuration or in the build's record, for all to read", d.Line, d.Kind, d.Key)
			}
			if madeUp.MatchString(d.Value) {
				t.Errorf("Dockerfile:%d: %s %s=%s holds a password", d.Line, d.Kind, d.Key, d.Value)
			}
		}
		for _, step := range s.Steps {
			signedIn = judgeStep(t, step) || signedIn
		}
		for _, f := range s.Files {
			if f.Opaque != nil && f.Opaque.Image == "" && secret(f.Opaque.Path) {
				t.Errorf("the stage of line %d writes %s from a text in the Dockerfile: it stays in the layer, and in git", s.Line, f.Opaque.Path)
			}
		}
	}
	if !signedIn {
		t.Error("no step runs `go mod download` with the secret netrc mounted where Go looks for it (target=/root/.netrc, or the variable NETRC): the private module cannot be fetched")
	}
}

// judgeStep tells whether the step downloads modules with the secret in the right place; whatever else it does with a secret is wrong.
func judgeStep(t *testing.T, step dockerbuild.Step) (signedIn bool) {
	t.Helper()
	for _, m := range step.Mounts {
		if m.Type != instructions.MountTypeSecret {
			continue
		}
		downloads := false
		for _, c := range step.Commands {
			if c.IsDownload() {
				downloads = true
				home := path.Join(c.Env["HOME"], ".netrc")
				signedIn = signedIn || m.CacheID+m.Source == "netrc" && (c.Env["NETRC"] == m.Target || c.Env["NETRC"] == "" && m.Target == home)
			}
		}
		if word := mention(step.Text, m); word != "" {
			t.Errorf("Dockerfile:%d: RUN reads the secret (%s): what it writes may stay in the layer, and Go reads .netrc by itself", step.Line, word)
		}
		if !downloads {
			t.Errorf("Dockerfile:%d: this RUN mounts a secret, but does not download modules: it need not see it", step.Line)
		}
	}
	if madeUp.MatchString(step.Text) {
		t.Errorf("Dockerfile:%d: RUN holds a password", step.Line)
	}
	return signedIn
}

// mention finds the place where a script touches a mounted secret, other than to tell Go where it lies.
func mention(script string, m *instructions.Mount) string {
	script = regexp.MustCompile(`NETRC=\S+`).ReplaceAllString(script, "")
	words := []string{"$NETRC", "${NETRC"}
	if m.Env != nil {
		name := *m.Env
		if name == "" {
			name = m.CacheID + m.Source
		}
		words = append(words, "$"+name, "${"+name)
	}
	if m.Target != "" {
		words = append(words, m.Target)
	}
	if strings.HasPrefix(m.Target, "/run/secrets/") {
		words = append(words, "/run/secrets")
	}
	if path.Base(m.Target) == ".netrc" {
		words = append(words, ".netrc")
	}
	for _, word := range words {
		if strings.Contains(script, word) {
			return word
		}
	}
	return ""
}

// madeUp are the passwords of app.txtar, and those of others where passwords stand: in an address, in a connection string, in a .netrc.
var madeUp = regexp.MustCompile(`made-up-\d|://[^/\s:$]+:[^/\s@$]+@|(?i:\bpassword=[^\s$"']|\blogin\s+\S+\s+password\s+[^\s$])`)

var secretName = regexp.MustCompile(`(?i)token|secret|passw|passphrase|credential|netrc|(api|private|access|ssh)_?key|_(pass|pwd|pat)$`)

func looksSecret(name string) bool {
	return secretName.MatchString(name) && !strings.HasSuffix(strings.ToUpper(name), "_FILE")
}

// isPath tells a value that says where a secret will lie from a secret.
func isPath(value string) bool { return strings.HasPrefix(value, "/") }

// The builder is not sent what it has no business to see: version control, environment files, credentials and keys, at any depth.
//
//kata:zh 版本库、环境变量文件、凭据和密钥，无论在哪一层目录，都不会发给构建器。
func TestIgnore(t *testing.T) {
	if leaked := leaked(follow(t, "linux/amd64")); len(leaked) > 0 {
		t.Fatalf("docker build sends %s to the builder (a pattern of .dockerignore begins at the root of the context; **/ means at any depth)", strings.Join(leaked, ", "))
	}
	// Tomorrow others lie about, and elsewhere: a list of today's files does not keep them at home.
	tomorrow := fstest.MapFS{}
	for _, dir := range []string{"", "cmd/notes/", "internal/web/static/"} {
		for _, name := range []string{".git/config", ".env", ".env.staging", ".netrc", "server.key", "server.pem"} {
			tomorrow[dir+name] = &fstest.MapFile{}
		}
	}
	if leaked := leaked(followIn(t, tomorrow, "linux/amd64")); len(leaked) > 0 {
		t.Errorf("docker build would send %s to the builder, if they lay there: patterns have to hold at any depth, not for the files of today only", strings.Join(leaked, ", "))
	}
}

// leaked lists what the builder is sent of that which must stay at home.
func leaked(b *dockerbuild.Build) []string {
	var list []string
	for name := range b.Sent {
		if secret(name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// secret tells whether a file of the context is one of those that must stay at home.
func secret(name string) bool {
	base := path.Base(name)
	return slices.Contains(strings.Split(name, "/"), ".git") || base == ".env" || strings.HasPrefix(base, ".env.") ||
		base == ".netrc" || strings.HasSuffix(base, ".key") || strings.HasSuffix(base, ".pem")
}
