package publication

import "time"

// Config is what the service is configured with. Copying the struct does not copy all of it.
type Config struct {
	Version  int
	Timeout  time.Duration
	Token    string              `json:"-"`
	Limits   map[string]int      // by customer
	Routes   map[string][]string // the backends of a path
	Hosts    []*Host             // no nil among them
	Fallback *Host               // nil: there is none
}

// Host is a machine that answers requests.
type Host struct {
	Addr   string
	Weight int
	Tags   []string
}
