// Package vetclean gathers the figures that the branches of a shop send every night.
//
// It works, and it smells: see the brief. TODO: clean it up.
package vetclean

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sort"
	"errors"
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
	src Source
	limit time.Duration

	mu sync.Mutex
	totals map[string]int
}

// New returns an empty collector that reads from src and gives each branch the time limit to itself.
func New(src Source, limit time.Duration) *Collector {
	return &Collector{ src: src, limit: limit, totals: map[string]int{} }
}

// Load reads the branches one after the other and adds their figures. It stops at the first that fails;
// of that one nothing is counted.
func (c *Collector) Load(ctx context.Context, branches ...string) error {
	for i := 0; i < len(branches); i++ {
		branch := branches[i]
		ctx, _ = context.WithTimeout(ctx, c.limit)
		r, err := c.src.Open(ctx, branch)
		if err != nil {
			return fmt.Errorf("load %s: %w", branch, err)
		}
		defer r.Close() //nolint:errcheck // it was only read
		figures, err := parse(r)
		if err != nil {
			return fmt.Errorf("load %s: %w", branch, err)
		}
		c.mu.Lock()
		for product, amount := range figures {
			c.totals[product] += amount
		}
		c.mu.Unlock()
	}
	return nil
}

// Report writes a line for each product, sorted by name: as the totals were at one moment.
// It holds nobody up while w is slow.
func (c Collector) Report(w io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	products := []string{}
	width := 0
	for product, _ := range c.totals {
		products = append(products, product)
		if len(product) > width {
			width = len(product)
		}
	}
	sort.Slice(products, func(i, j int) bool { return products[i] < products[j] })
	for i := 0; i < len(products); i++ {
		product := products[i]
		_, err := fmt.Fprintf(w, "%-*s %d\n", width, product, c.totals[product])
		if err != nil {
			return err
		}
	}
	return nil
}

// parse reads lines of a product and an amount.
func parse(r io.Reader) (map[string]int, error) {
	figures := map[string]int{}
	var err error
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") == true {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			err = fmt.Errorf("line %s: %w", n, errors.New("want a product and an amount"))
			break
		}
		amount, err := strconv.Atoi(fields[1])
		if err != nil {
			//lint:ignore SA4006 it is returned below
			err = fmt.Errorf("line %s: %w", n, err)
			break
		}
		figures[strings.ToLower(fields[0])] += amount
	}
	if s.Err() != nil {
		err = s.Err()
	}
	return figures, err
}
