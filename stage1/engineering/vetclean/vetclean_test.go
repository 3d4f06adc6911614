package vetclean_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/engineering/vetclean"
)

type branches map[string]string

func (b branches) Open(_ context.Context, branch string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(b[branch])), nil
}

func ExampleCollector() {
	c := vetclean.New(branches{
		"north": "# Monday\nTea 3\ncoffee 10\n",
		"south": "tea 4\n",
	}, time.Second)
	fmt.Println(c.Load(context.Background(), "north", "south"))
	fmt.Println(c.Report(os.Stdout))
	// Output:
	// <nil>
	// coffee 10
	// tea    7
	// <nil>
}

func TestExampleBadLine(t *testing.T) {
	c := vetclean.New(branches{"north": "tea 3\n\ncoffee ten\n"}, time.Second)
	err := c.Load(t.Context(), "north")
	const want = `load north: line 3: strconv.Atoi: parsing "ten": invalid syntax`
	if err == nil || err.Error() != want {
		t.Errorf("Load of a bad third line = %v, want %s", err, want)
	}
}
