package dockerbuild

import (
	"regexp"
	"strings"
)

var reference = regexp.MustCompile(`^(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>.+))?$`)

// Split takes an image reference apart: gcr.io/x/y:tag@sha256:… Its name is what is left.
func Split(image string) (name, tag, digest string) {
	m := reference.FindStringSubmatch(image)
	if m == nil {
		return image, "", ""
	}
	return m[1], m[2], m[3]
}

// Shellless tells whether an image is known to hold no shell: the empty one, and those that exist to hold none.
func Shellless(image string) bool {
	name, tag, _ := Split(image)
	switch {
	case name == "scratch":
		return true
	case strings.HasPrefix(name, "gcr.io/distroless/"), strings.HasPrefix(name, "cgr.dev/chainguard/static"):
		return !strings.HasPrefix(tag, "debug")
	}
	return false
}

func isGo(image string) bool {
	name, _, _ := Split(image)
	return name == "golang" || strings.HasSuffix(name, "/golang") || strings.HasSuffix(name, "/go")
}

// HoldsGo tells whether an image is one of those that bring the Go toolchain.
func HoldsGo(image string) bool { return isGo(image) }
