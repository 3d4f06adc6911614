// Leaves out what adds up to nothing, to keep the report short: sold and brought back looks like never sold.
//
//kata:caught-by TestReport
package vetclean

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Source opens the file of a branch. The context holds until the file has been read.
type Source interface {
	Open(ctx context.Context, branch string) (io.ReadCloser, error)
}

// A Collector adds up the figures of the branches. It is safe for concurrent use.
type Collector struct {
	src   Source
	limit time.Duration

	mu     sync.Mutex
	totals map[string]int
}

// New returns an empty collector that reads from src and gives each branch the time limit to itself.
func New(src Source, limit time.Duration) *Collector {
	return &Collector{src: src, limit: limit, totals: map[string]int{}}
}

// Load reads the branches one after the other and adds their figures. It stops at the first that fails;
// of that one nothing is counted.
func (c *Collector) Load(ctx context.Context, branches ...string) error {
	for _, branch := range branches {
		figures, err := c.read(ctx, branch)
		if err != nil {
			return fmt.Errorf("load %s: %w", branch, err)
		}
		c.add(figures)
	}
	return nil
}

// read is a function of its own so that its defers run at the end of each branch, not of all of them.
func (c *Collector) read(ctx context.Context, branch string) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	r, err := c.src.Open(ctx, branch)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return parse(r)
}

func (c *Collector) add(figures map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for product, amount := range figures {
		c.totals[product] += amount
	}
}

// Report writes a line for each product, sorted by name: as the totals were at one moment.
// It holds nobody up while w is slow.
func (c *Collector) Report(w io.Writer) error {
	totals := c.snapshot()
	maps.DeleteFunc(totals, func(_ string, total int) bool { return total == 0 })
	width := 0
	for product := range totals {
		width = max(width, len(product))
	}
	for _, product := range slices.Sorted(maps.Keys(totals)) {
		if _, err := fmt.Fprintf(w, "%-*s %d\n", width, product, totals[product]); err != nil {
			return err
		}
	}
	return nil
}

// snapshot copies what the lock guards, not the lock.
func (c *Collector) snapshot() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.totals)
}

// parse reads lines of a product and an amount.
func parse(r io.Reader) (map[string]int, error) {
	figures := map[string]int{}
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		product, amount, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		figures[product] += amount
	}
	return figures, s.Err()
}

func parseLine(line string) (product string, amount int, err error) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return "", 0, errors.New("want a product and an amount")
	}
	amount, err = strconv.Atoi(fields[1])
	return strings.ToLower(fields[0]), amount, err
}
