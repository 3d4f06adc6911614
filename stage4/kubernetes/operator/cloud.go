package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Cloud is the outside: where the buckets really are. It knows nothing of Kubernetes.
type Cloud interface {
	// List returns the buckets that were made for an owner, the oldest first. It shows what has been done before, by whomever.
	List(ctx context.Context, owner types.UID) ([]Remote, error)
	// Create makes a bucket, each time another one, and returns its id. It may fail although the bucket was made.
	Create(ctx context.Context, owner types.UID, place Place, settings Settings) (id string, err error)
	// Configure sets the settings of a bucket: ErrNotFound if there is none.
	Configure(ctx context.Context, id string, settings Settings) error
	// Delete deletes a bucket with all that is in it: ErrNotFound if there is none.
	Delete(ctx context.Context, id string) error
}

// ErrNotFound says that there is no bucket of that id.
var ErrNotFound = errors.New("no such bucket")

// Remote is a bucket in the cloud.
type Remote struct {
	ID       string
	Owner    types.UID // of the Bucket that it was made for
	Place    Place
	Settings Settings
}

// Place is what a bucket is made with, and keeps.
type Place struct {
	Region        string
	EncryptionKey string
}

// Settings can be changed while a bucket lives.
type Settings struct {
	Redundancy       string // the class's
	ArchiveAfterDays int32
	ExpireAfterDays  int32
}

// Memory is a cloud in memory, to try things with.
type Memory struct {
	mu      sync.Mutex
	made    int
	remotes []Remote
}

// List implements Cloud.
func (m *Memory) List(_ context.Context, owner types.UID) ([]Remote, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Remote
	for _, r := range m.remotes {
		if r.Owner == owner {
			list = append(list, r)
		}
	}
	return list, nil
}

// Create implements Cloud.
func (m *Memory) Create(_ context.Context, owner types.UID, place Place, settings Settings) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	r := Remote{ID: fmt.Sprintf("b-%d", m.made), Owner: owner, Place: place, Settings: settings}
	m.remotes = append(m.remotes, r)
	return r.ID, nil
}

// Configure implements Cloud.
func (m *Memory) Configure(_ context.Context, id string, settings Settings) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.remotes {
		if m.remotes[i].ID == id {
			m.remotes[i].Settings = settings
			return nil
		}
	}
	return fmt.Errorf("configure %s: %w", id, ErrNotFound)
}

// Delete implements Cloud.
func (m *Memory) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.remotes {
		if m.remotes[i].ID == id {
			m.remotes = slices.Delete(m.remotes, i, i+1)
			return nil
		}
	}
	return fmt.Errorf("delete %s: %w", id, ErrNotFound)
}
