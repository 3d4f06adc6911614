package etcdtest

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// within bounds a request.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

func put(t *testing.T, cli *Client, key, value string, opts ...clientv3.OpOption) {
	t.Helper()
	if _, err := cli.Put(within(t), key, value, opts...); err != nil {
		t.Fatal(err)
	}
}

func TestLosesAndRegainsAMember(t *testing.T) {
	c := Start(t)
	cli := c.Client(t)
	put(t, cli, "a", "1")
	old := c.Leader(t)
	c.Stop(t, old)
	if now := c.Leader(t); now == old {
		t.Fatalf("member %d leads although it is stopped", old)
	}
	put(t, cli, "a", "2")
	c.Restart(t, old)
	if list := c.Entries(t, "a"); len(list) != 1 || list[0].Value != "2" {
		t.Errorf("entries %v, want a=2", list)
	}
}

func TestIsolatesALeader(t *testing.T) {
	c := Start(t)
	old := c.Leader(t)
	c.Isolate(t, old)
	if now := c.Leader(t); now == old {
		t.Fatalf("member %d still leads although it is isolated", old)
	}
	c.Heal(t, old)
}

func TestCutClientHearsNothing(t *testing.T) {
	c := Start(t)
	cli := c.Client(t)
	put(t, cli, "b", "1")
	cli.Cut()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := cli.Get(short, "b"); err == nil {
		t.Error("a cut client got an answer")
	}
	cli.Mend()
	if _, err := cli.Get(within(t), "b"); err != nil {
		t.Errorf("after Mend: %v", err)
	}
}

func TestCountsWatches(t *testing.T) {
	c := Start(t)
	cli := c.Client(t)
	ctx, cancel := context.WithCancel(within(t))
	events := cli.Watch(ctx, "c", clientv3.WithCreatedNotify())
	<-events
	put(t, cli, "c", "1")
	<-events
	if got := cli.Counts(); got.Requests != 1 || got.Events != 1 {
		t.Errorf("counts %+v, want one request and one event", got)
	}
	if w := cli.Watches(); len(w) != 1 || w[0].Key != "c" || w[0].Range {
		t.Errorf("watches %+v, want one, of c", w)
	}
	cli.WatchedBy(t, c)
	if cli.OpenWatches() != 1 {
		t.Errorf("%d open watches, want 1", cli.OpenWatches())
	}
	cancel()
	if !cli.Await(func() bool { return cli.OpenWatches() == 0 }) {
		t.Errorf("%d open watches after the context ended, want 0", cli.OpenWatches())
	}
}

func TestCompactedWatchIsRefused(t *testing.T) {
	c := Start(t)
	cli := c.Client(t)
	events := cli.Watch(within(t), "d", clientv3.WithCreatedNotify())
	<-events
	cli.Cut()
	c.Compact(t)
	cli.Mend()
	for resp := range events {
		if resp.CompactRevision != 0 {
			return
		}
	}
	t.Error("the watch ended without word of the compaction")
}

func TestExpireAndLeases(t *testing.T) {
	c := Start(t)
	cli := c.Client(t)
	cli.LeaseIDs(func() int64 { return 4711 })
	before := len(c.Leases(t))
	lease, err := cli.Grant(within(t), 60)
	if err != nil || lease.ID != 4711 {
		t.Fatalf("lease %v, %v: want 4711", lease, err)
	}
	put(t, cli, "e", "1", clientv3.WithLease(lease.ID))
	c.AwaitEntries(t, "e", 1)
	if got := len(c.Leases(t)); got != before+1 {
		t.Errorf("%d leases, want %d", got, before+1)
	}
	c.Expire(t, lease.ID)
	if list := c.Entries(t, "e"); len(list) != 0 || len(c.Leases(t)) != before {
		t.Errorf("entries %v, leases %d: want none left", list, len(c.Leases(t)))
	}
}

func TestLosesAnAnswer(t *testing.T) {
	c := Start(t)
	cli := c.Client(t)
	cli.LoseAnswer("Txn")
	if _, err := cli.Txn(within(t)).Then(clientv3.OpPut("f", "1")).Commit(); err == nil {
		t.Error("the answer was not lost")
	}
	if list := c.Entries(t, "f"); len(list) != 1 {
		t.Errorf("entries %v: the request was not carried out", list)
	}
}
