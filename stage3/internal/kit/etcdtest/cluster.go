// Package etcdtest is a real etcd cluster of three members inside the test's process, and the faults that befall one.
//
// The cluster starts with the first call of Start and serves all tests of the process. Members talk through loopback ports that the kit
// holds on to, so that a member comes back where it was; clients talk through links of their own, which a test can freeze. Nothing is
// logged.
//
// The kit never sleeps to let something happen: it looks for the event itself, for as long as a loaded machine may need. And a machine that
// is slow is no fault: while a test has broken nothing, clients do not learn that the members have changed their leader.
package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

// Members is the size of the cluster: it survives the loss of one.
const Members = 3

// Patience is how long the kit waits for what has to happen: far longer than anything takes.
const Patience = 30 * time.Second

// turns and turn are how long Soon waits.
const (
	turns = 50
	turn  = 100 * time.Millisecond
)

// Cluster is a running cluster.
type Cluster struct {
	dir     string
	mu      sync.Mutex // over etcd and alone of the members
	members [Members]*member
}

type member struct {
	index int
	peers *proxy // what the other members are told to call
	etcd  *embed.Etcd
	alone bool // isolated
}

// cluster is the process's own, and how many tests use it at present.
var cluster struct {
	sync.Mutex
	*Cluster
	users int
}

func start() (*Cluster, error) {
	removeLeftovers()
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return nil, err
	}
	if inUse, err = fileutil.TryLockFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	wal.SegmentSizeBytes = 64 << 10 // 64 MiB are laid out for each member otherwise
	c := &Cluster{dir: dir}
	for i := range c.members {
		peers, err := newProxy(func() string { return c.peerAddr(i) })
		if err != nil {
			return nil, err
		}
		c.members[i] = &member{index: i, peers: peers}
	}
	errs := make(chan error, Members)
	for _, m := range c.members {
		go func() { errs <- c.run(m) }()
	}
	for range c.members {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return c, nil
}

// stop ends the cluster and deletes its data.
func (c *Cluster) stop() {
	for i, m := range c.members {
		if e := c.etcd(i); e != nil {
			e.Server.HardStop()
			e.Close()
		}
		m.peers.Close()
	}
	os.RemoveAll(c.dir)
	inUse.Close()
}

// inUse is the lock of this process on its folder: it goes with the process.
var inUse *fileutil.LockedFile

const (
	dirPrefix = "roadkata-etcd-"
	lockName  = "in-use"
)

// removeLeftovers deletes the data of processes that were killed. A process holds a lock on a file in its folder.
func removeLeftovers() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*", lockName))
	for _, name := range locks {
		lock, err := fileutil.TryLockFile(name, os.O_RDWR, 0o600)
		if err != nil {
			continue // in use
		}
		os.RemoveAll(filepath.Dir(name))
		lock.Close()
	}
}

// Start returns the process's cluster, with all members up. What a test breaks is mended when it ends.
//
// When the last test that uses it ends, the cluster is stopped and its folder, in os.TempDir(), deleted. Under the grader the folder for
// temporary files is the process's own and goes with it: there the cluster stays for the next test.
func Start(t testing.TB) *Cluster {
	t.Helper()
	cluster.Lock()
	defer cluster.Unlock()
	if cluster.Cluster == nil {
		c, err := start()
		if err != nil {
			t.Fatalf("etcdtest: the cluster does not start: %v", err)
		}
		cluster.Cluster = c
	}
	c := cluster.Cluster
	cluster.users++
	t.Cleanup(func() {
		cluster.Lock()
		defer cluster.Unlock()
		if cluster.users--; cluster.users == 0 && os.Getenv("ROADKATA_FILES") == "" {
			c.stop()
			cluster.Cluster = nil
		}
	})
	t.Cleanup(func() {
		for i := range c.members {
			c.Restart(t, i)
		}
		for i := range c.members {
			if c.isAlone(i) {
				c.Heal(t, i)
			}
		}
	})
	c.awaitLeader(t)
	return c
}

// run starts a member, for the first time or again.
func (c *Cluster) run(m *member) error {
	cfg := embed.NewConfig()
	cfg.Name = name(m.index)
	cfg.Dir = filepath.Join(c.dir, cfg.Name)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.UnsafeNoFsync = true
	cfg.EnableGRPCGateway = false
	cfg.TickMs, cfg.ElectionMs = 50, 500
	any := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // each start listens somewhere else, behind the addresses that stay
	advertised := url.URL{Scheme: "http", Host: m.peers.Addr()}
	cfg.ListenPeerUrls, cfg.ListenClientUrls = []url.URL{any}, []url.URL{any}
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = []url.URL{advertised}, []url.URL{advertised}
	var cluster []string
	for _, other := range c.members {
		cluster = append(cluster, name(other.index)+"=http://"+other.peers.Addr())
	}
	cfg.InitialCluster = strings.Join(cluster, ",")
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("member %d: %w", m.index, err)
	}
	c.mu.Lock()
	m.etcd = etcd
	c.mu.Unlock()
	m.peers.Thaw()
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case err := <-etcd.Err():
		return fmt.Errorf("member %d: %w", m.index, err)
	case <-time.After(Patience):
		return fmt.Errorf("member %d: not ready after %v", m.index, Patience)
	}
}

func name(i int) string { return fmt.Sprintf("m%d", i) }

// etcd is a member's server, or nil while it is stopped.
func (c *Cluster) etcd(i int) *embed.Etcd {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[i].etcd
}

// peerAddr and clientAddr are where a member listens at present, or empty.
func (c *Cluster) peerAddr(i int) string {
	if e := c.etcd(i); e != nil {
		return e.Peers[0].Addr().String()
	}
	return ""
}

func (c *Cluster) clientAddr(i int) string {
	if e := c.etcd(i); e != nil {
		return e.Clients[0].Addr().String()
	}
	return ""
}

// Leader is the member that leads.
func (c *Cluster) Leader(t testing.TB) int {
	t.Helper()
	return c.awaitLeader(t)
}

// awaitLeader waits until all members that are running and not isolated follow the same one of them.
func (c *Cluster) awaitLeader(t testing.TB) (leader int) {
	t.Helper()
	c.await(t, "a leader", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		var lead uint64
		leader = -1
		for _, m := range c.members {
			if m.etcd == nil || m.alone {
				continue
			}
			l := uint64(m.etcd.Server.Leader())
			if l == 0 || lead != 0 && l != lead {
				return false
			}
			lead = l
		}
		for i, m := range c.members {
			if m.etcd != nil && !m.alone && uint64(m.etcd.Server.MemberID()) == lead {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// await looks again and again: etcd tells when a leader changes, but not when all agree.
func (c *Cluster) await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("etcdtest: waited %v for %s", Patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Soon waits until cond holds, and tells whether it came true: whether something happened that should happen at once. It gives up when
// the cluster has confirmed fifty times, with a tenth of a second in between, that it is at work; what delays the test's process delays
// this too.
func (c *Cluster) Soon(cond func() bool) bool {
	giveUp := time.Now().Add(Patience)
	for n := 0; n < turns && time.Now().Before(giveUp); {
		for over := time.Now().Add(turn); time.Now().Before(over); time.Sleep(2 * time.Millisecond) {
			if cond() {
				return true
			}
		}
		if c.works() {
			n++
		}
	}
	return cond()
}

// works asks the cluster for something that a majority has to agree on.
func (c *Cluster) works() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for i := range c.members {
		if e := c.etcd(i); e != nil && !c.isAlone(i) {
			cli := v3client.New(e.Server)
			defer cli.Close()
			_, err := cli.Get(ctx, "etcdtest/works")
			return err == nil
		}
	}
	return false
}

func (c *Cluster) isAlone(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[i].alone
}

// whole tells whether nothing is broken: every member is up and sees the others.
func (c *Cluster) whole() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		if m.etcd == nil || m.alone {
			return false
		}
	}
	return true
}

// Stop kills a member as a crash does: no leadership is handed over, connections break. It returns when the others have a leader.
func (c *Cluster) Stop(t testing.TB, i int) {
	t.Helper()
	e := c.etcd(i)
	if e == nil {
		return
	}
	c.mu.Lock()
	c.members[i].etcd = nil
	c.mu.Unlock()
	c.members[i].peers.Sever()
	severLinks(i)
	e.Server.HardStop()
	e.Close()
	c.awaitLeader(t)
}

// Restart brings a stopped member back, with its data. It returns when the cluster agrees on a leader.
func (c *Cluster) Restart(t testing.TB, i int) {
	t.Helper()
	if c.etcd(i) != nil {
		return
	}
	if err := c.run(c.members[i]); err != nil {
		t.Fatalf("etcdtest: restart: %v", err)
	}
	c.awaitLeader(t)
}

// Isolate cuts a member off from the other two, while clients still reach it. It returns when the others have a leader, and the isolated
// one has noticed that it has none.
func (c *Cluster) Isolate(t testing.TB, i int) {
	t.Helper()
	c.eachPair(i, true, func(a, b *embed.Etcd) { a.Server.CutPeer(b.Server.MemberID()) })
	c.await(t, fmt.Sprintf("member %d to lose its leader", i), func() bool { return c.etcd(i).Server.Leader() == 0 })
	c.awaitLeader(t)
}

// Heal ends what Isolate began. It returns when the member follows a leader again.
func (c *Cluster) Heal(t testing.TB, i int) {
	t.Helper()
	c.eachPair(i, false, func(a, b *embed.Etcd) { a.Server.MendPeer(b.Server.MemberID()) })
	c.awaitLeader(t)
}

// eachPair does something to the links between a member and the others, and notes whether it is isolated from then on.
func (c *Cluster) eachPair(i int, alone bool, do func(a, b *embed.Etcd)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.members[i]
	one.alone = alone
	for j, other := range c.members {
		if j != i && one.etcd != nil && other.etcd != nil {
			do(one.etcd, other.etcd)
			do(other.etcd, one.etcd)
		}
	}
}

// ask runs a request of the kit's own inside a running member: no link, no fault and no count is in its way.
func (c *Cluster) ask(t testing.TB, do func(context.Context, *clientv3.Client) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cli := v3client.New(c.etcd(c.awaitLeader(t)).Server)
	defer cli.Close()
	if err := do(ctx, cli); err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
}

// Entry is a key in etcd.
type Entry struct {
	Key, Value string
	Created    int64 // its create revision
	Lease      clientv3.LeaseID
}

// Entries lists the keys with a prefix, oldest first.
func (c *Cluster) Entries(t testing.TB, prefix string) []Entry {
	t.Helper()
	var list []Entry
	c.ask(t, func(ctx context.Context, cli *clientv3.Client) error {
		resp, err := cli.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			list = append(list, Entry{string(kv.Key), string(kv.Value), kv.CreateRevision, clientv3.LeaseID(kv.Lease)})
		}
		return nil
	})
	return list
}

// AwaitEntries waits until n keys with the prefix stand in etcd, and lists them, oldest first.
func (c *Cluster) AwaitEntries(t testing.TB, prefix string, n int) []Entry {
	t.Helper()
	var list []Entry
	deadline := time.Now().Add(Patience)
	for {
		if list = c.Entries(t, prefix); len(list) == n {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v etcd holds %d keys below %s, want %d: %v", Patience, len(list), prefix, n, list)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Leases lists all leases.
func (c *Cluster) Leases(t testing.TB) []clientv3.LeaseID {
	t.Helper()
	var list []clientv3.LeaseID
	c.ask(t, func(ctx context.Context, cli *clientv3.Client) error {
		resp, err := cli.Leases(ctx)
		if err != nil {
			return err
		}
		for _, l := range resp.Leases {
			list = append(list, l.ID)
		}
		return nil
	})
	slices.Sort(list)
	return list
}

// applied waits until every member that hears the others has come as far as a revision: what a client does next finds it done, whichever
// member it asks.
func (c *Cluster) applied(t testing.TB, revision int64) {
	t.Helper()
	for i := range c.members {
		e := c.etcd(i)
		if e == nil || c.isAlone(i) {
			continue
		}
		c.await(t, fmt.Sprintf("member %d to reach revision %d", i, revision), func() bool { return e.Server.KV().Rev() >= revision })
	}
}

// Expire ends a lease now, as its time running out would: its keys are gone when Expire returns, and nobody is told but by the usual ways.
func (c *Cluster) Expire(t testing.TB, lease clientv3.LeaseID) {
	t.Helper()
	if lease == clientv3.NoLease {
		t.Fatal("the key has no lease: it would stay for ever if its owner died")
	}
	c.ask(t, func(ctx context.Context, cli *clientv3.Client) error {
		resp, err := cli.Revoke(ctx, lease)
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil // it has just ended by itself
		}
		if err == nil {
			c.applied(t, resp.Header.Revision)
		}
		return err
	})
}

// Delete deletes a key, as an operator would with etcdctl.
func (c *Cluster) Delete(t testing.TB, key string) {
	t.Helper()
	c.ask(t, func(ctx context.Context, cli *clientv3.Client) error {
		resp, err := cli.Delete(ctx, key)
		if err == nil {
			c.applied(t, resp.Header.Revision)
		}
		return err
	})
}

// Compact forgets all history up to now: a watch that has to resume from before is refused. It writes a key of its own first, so that
// "before" is not "now".
func (c *Cluster) Compact(t testing.TB) {
	t.Helper()
	c.ask(t, func(ctx context.Context, cli *clientv3.Client) error {
		for range 2 {
			if _, err := cli.Put(ctx, "etcdtest/compaction", ""); err != nil {
				return err
			}
		}
		resp, err := cli.Delete(ctx, "etcdtest/compaction")
		if err != nil {
			return err
		}
		_, err = cli.Compact(ctx, resp.Header.Revision, clientv3.WithCompactPhysical())
		return err
	})
}

func dial(addr string) (net.Conn, error) {
	if addr == "" {
		return nil, fmt.Errorf("the member is down")
	}
	return net.DialTimeout("tcp", addr, Patience)
}
