// The suite judges errors only by what a caller can do with them: errors.Is, errors.As, Unwrap and the text.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
package wrapping_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/errors/wrapping"
	"github.com/roadkata/roadkata/stage1/errors/wrapping/kvdb"
)

// errDisk stands for what no caller of the repository has ever heard of.
var errDisk = errors.New("disk full")

// errors.Is finds the right one of ErrNotFound, ErrExists, ErrInvalid and ErrStorage, and no other.
//
//kata:zh errors.Is 能找到 ErrNotFound、ErrExists、ErrInvalid、ErrStorage 中该有的那一个，且只有那一个。
func TestSentinels(t *testing.T) {
	for _, c := range failures() {
		err := c.run(store(c.broken))
		for _, s := range sentinels {
			if got, want := errors.Is(err, s.err), s.err == c.want; got != want {
				t.Fatalf("%s: errors.Is(err, %s) = %v, want %v; err: %v", c.name, s.name, got, want, err)
			}
		}
		for _, foreign := range []error{io.EOF, errors.New("not found")} {
			if errors.Is(err, foreign) {
				t.Fatalf("%s: err matches a foreign error %q: an Is method must say yes only to its own sentinel", c.name, foreign)
			}
		}
	}
}

// Every failure is an *OpError that names the called method and the user, still found when callers wrap it again.
//
//kata:zh 每个失败都是 *OpError，写明被调用的方法和用户；调用者再包装几层也能取出。
func TestOpError(t *testing.T) {
	for _, c := range failures() {
		err := c.run(store(c.broken))
		err = fmt.Errorf("handler: %w", errors.Join(io.EOF, err))
		op, ok := errors.AsType[*wrapping.OpError](err)
		switch {
		case !ok:
			t.Fatalf("%s: errors.As finds no *OpError in %q", c.name, err)
		case op.Op != c.op || op.ID != c.id:
			t.Fatalf("%s: errors.As finds an OpError with Op %q, ID %q; want Op %q, ID %q", c.name, op.Op, op.ID, c.op, c.id)
		case op.Err == nil:
			t.Fatalf("%s: the OpError has no cause: its Err is nil", c.name)
		}
	}
}

// Every wrong field of a user is reported, in one error, as a *FieldError of its own.
//
//kata:zh 用户的每个错误字段都在同一个错误里，各是一个 *FieldError。
func TestFields(t *testing.T) {
	const empty, noAt = "is empty", "has no @"
	for _, c := range []struct {
		user wrapping.User
		want []wrapping.FieldError
	}{
		{wrapping.User{ID: "u1", Name: "Ada", Email: "nowhere"}, []wrapping.FieldError{{"email", noAt}}},
		{wrapping.User{ID: "u1", Email: "a@b"}, []wrapping.FieldError{{"name", empty}}},
		{wrapping.User{ID: "u1"}, []wrapping.FieldError{{"name", empty}, {"email", noAt}}},
		{wrapping.User{}, []wrapping.FieldError{{"id", empty}, {"name", empty}, {"email", noAt}}},
	} {
		repo := wrapping.NewRepo(kvdb.Open())
		for _, call := range []struct {
			name string
			err  error
		}{
			{"%+v.Validate()", c.user.Validate()},
			{"Create(ctx, %+v)", repo.Create(t.Context(), c.user)},
			{"Import(ctx, [%+v])", repo.Import(t.Context(), []wrapping.User{c.user})},
		} {
			var got []wrapping.FieldError
			for e := range tree(call.err) {
				if f, ok := e.(*wrapping.FieldError); ok {
					got = append(got, *f)
				}
			}
			for _, want := range c.want {
				if !slices.Contains(got, want) || len(got) != len(c.want) {
					t.Fatalf(call.name+": *FieldErrors in the error's tree = %v, want %v; err: %v", c.user, got, c.want, call.err)
				}
			}
		}
	}
}

// A missing or taken key is recognised however deep the driver has wrapped it.
//
//kata:zh 无论驱动把错误包了多少层，都认得出“键不存在”和“键已占用”。
func TestWrappedDriver(t *testing.T) {
	noKey := func(op string) error { return &kvdb.Error{Op: op, Key: "user/u1", Err: kvdb.ErrNoKey} }
	taken := &kvdb.Error{Op: "insert", Key: "user/u1", Code: kvdb.CodeDuplicate, Err: errors.New("duplicate key")}
	for _, wrap := range []func(error) error{
		func(err error) error { return fmt.Errorf("connection 3: %w", err) },
		func(err error) error { return fmt.Errorf("retry 2: %w", fmt.Errorf("connection 3: %w", err)) },
		func(err error) error { return errors.Join(errors.New("replica is slow"), err) },
	} {
		wrapped := wrap(noKey("get"))
		_, err := wrapping.NewRepo(fail(kvdb.Open(), "get", wrapped)).Find(t.Context(), "u1")
		expectIs(t, "Find", wrapped, err, wrapping.ErrNotFound, "ErrNotFound")

		wrapped = wrap(noKey("tx get"))
		err = wrapping.NewRepo(fail(kvdb.Open(), "tx get", wrapped)).Rename(t.Context(), "u1", "Ada")
		expectIs(t, "Rename", wrapped, err, wrapping.ErrNotFound, "ErrNotFound")

		wrapped = wrap(taken)
		err = wrapping.NewRepo(fail(kvdb.Open(), "insert", wrapped)).Create(t.Context(), ada)
		expectIs(t, "Create", wrapped, err, wrapping.ErrExists, "ErrExists")
	}
	deep := &kvdb.Error{Op: "get", Key: "user/u1", Err: fmt.Errorf("page 7: %w", kvdb.ErrNoKey)}
	_, err := wrapping.NewRepo(fail(kvdb.Open(), "get", deep)).Find(t.Context(), "u1")
	expectIs(t, "Find", deep, err, wrapping.ErrNotFound, "ErrNotFound")

	// The driver's own errors may stand around and beside the one that tells.
	other := &kvdb.Error{Op: "insert", Key: "user/u1", Err: errors.New("replica is slow")}
	for _, driver := range []error{
		&kvdb.Error{Op: "insert", Key: "user/u1", Err: taken},
		&kvdb.Error{Op: "insert", Key: "user/u1", Err: fmt.Errorf("retry 2: %w", taken)},
		errors.Join(other, taken),
		fmt.Errorf("two replicas: %w, %w", other, errors.Join(errors.New("shard 3"), taken)),
	} {
		err := wrapping.NewRepo(fail(kvdb.Open(), "insert", driver)).Create(t.Context(), ada)
		expectIs(t, "Create", driver, err, wrapping.ErrExists, "ErrExists")
	}
}

// Nothing that the driver returned can be reached by errors.Is or errors.As.
//
//kata:zh errors.Is 和 errors.As 都够不到驱动返回的任何错误。
func TestNoLeak(t *testing.T) {
	check := func(t *testing.T, call string, err error) {
		t.Helper()
		if e, ok := errors.AsType[*kvdb.Error](err); ok {
			t.Fatalf("%s: errors.As finds the driver's own error (%q) in %q", call, e, err)
		}
		for _, inner := range []error{kvdb.ErrNoKey, kvdb.ErrTxDone, errDisk} {
			if errors.Is(err, inner) {
				t.Fatalf("%s: errors.Is(err, %q) = true: an error of the driver's is in the chain of %q", call, inner, err)
			}
		}
	}
	for _, c := range failures() {
		check(t, c.name, c.run(store(c.broken)))
	}
	db := store("")
	db.Fault = func(op, key string) error {
		if op == "tx put" || op == "rollback" {
			return &kvdb.Error{Op: op, Key: key, Err: errDisk}
		}
		return nil
	}
	check(t, "Rename, the write and the rollback fail", wrapping.NewRepo(db).Rename(t.Context(), "u1", "Grace"))
	check(t, "Rename, an error that is not even the driver's type",
		wrapping.NewRepo(fail(store(""), "commit", errDisk)).Rename(t.Context(), "u1", "Grace"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := wrapping.NewRepo(store("")).Find(ctx, "u1")
	check(t, "Find, cancelled", err)
}

// A cancelled or late call answers errors.Is for context.Canceled or context.DeadlineExceeded, and is no ErrStorage.
//
//kata:zh 被取消或超时的调用可用 errors.Is 认出 context.Canceled 或 context.DeadlineExceeded，且不算 ErrStorage。
func TestContext(t *testing.T) {
	calls := []struct {
		name string
		run  func(context.Context, *wrapping.Repo) error
	}{
		{"Find", func(ctx context.Context, r *wrapping.Repo) error { _, err := r.Find(ctx, "u1"); return err }},
		{"Create", func(ctx context.Context, r *wrapping.Repo) error { return r.Create(ctx, grace) }},
		{"Rename", func(ctx context.Context, r *wrapping.Repo) error { return r.Rename(ctx, "u1", "Grace") }},
		{"Import", func(ctx context.Context, r *wrapping.Repo) error { return r.Import(ctx, []wrapping.User{grace}) }},
	}
	check := func(call string, err, want, not error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%s: errors.Is(err, %q) = false, want true; err: %v", call, want, err)
		}
		if errors.Is(err, not) {
			t.Fatalf("%s: errors.Is(err, %q) = true as well; err: %v", call, not, err)
		}
		if errors.Is(err, wrapping.ErrStorage) {
			t.Fatalf("%s: errors.Is(err, ErrStorage) = true; the caller left, the store did not fail; err: %v", call, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	for _, c := range calls {
		check(c.name+" with a cancelled context", c.run(cancelled, wrapping.NewRepo(store(""))), context.Canceled, context.DeadlineExceeded)
		check(c.name+" after its deadline", c.run(late, wrapping.NewRepo(store(""))), context.DeadlineExceeded, context.Canceled)
	}
	// Cancelled on the way: between the transaction's read and its write.
	midway, cancel := context.WithCancel(t.Context())
	defer cancel()
	db := store("")
	db.Fault = func(op, _ string) error {
		if op == "tx put" {
			cancel()
		}
		return nil
	}
	check("Rename cancelled midway", wrapping.NewRepo(db).Rename(midway, "u1", "Grace"), context.Canceled, context.DeadlineExceeded)
}

// Import tries every user and reports every failure, in order, each with its user and its cause.
//
//kata:zh Import 尝试每一个用户，并按顺序报告每一个失败，各带用户和原因。
func TestImport(t *testing.T) {
	db := store("")
	db.Fault = func(op, key string) error {
		if op == "insert" && key == "user/u5" {
			return &kvdb.Error{Op: op, Key: key, Err: errDisk}
		}
		return nil
	}
	user := func(id string) wrapping.User { return wrapping.User{ID: id, Name: "N", Email: "n@example.com"} }
	bad := user("u3")
	bad.Email = "nowhere"
	err := wrapping.NewRepo(db).Import(t.Context(), []wrapping.User{user("u2"), user("u1"), bad, user("u4"), user("u5"), user("u6")})

	for _, id := range []string{"u2", "u4", "u6"} {
		if _, dberr := db.Get(t.Context(), "user/"+id); dberr != nil {
			t.Errorf("Import of u2 … u6, where u1 exists, u3 is invalid and u5 cannot be written: %s is not in the store", id)
		}
	}
	var got []string
	for _, e := range outermost(err) {
		got = append(got, e.ID)
	}
	if want := []string{"u1", "u3", "u5"}; !slices.Equal(got, want) {
		t.Fatalf("Import: the failures reported are of %q, want %q; err: %v", got, want, err)
	}
	u1, u3, u5 := outermost(err)[0], outermost(err)[1], outermost(err)[2]
	if !errors.Is(u1, wrapping.ErrExists) {
		t.Errorf("Import: u1's failure is %q, want one that matches ErrExists", u1)
	}
	if _, ok := errors.AsType[*wrapping.FieldError](u3); !ok {
		t.Errorf("Import: u3's failure is %q, want one with a *FieldError", u3)
	}
	if !errors.Is(u5, wrapping.ErrStorage) {
		t.Errorf("Import: u5's failure is %q, want one that matches ErrStorage", u5)
	}
}

// A rollback that fails too is reported beside the cause of the failure, and only then.
//
//kata:zh 回滚也失败时，它与原因一并报告；回滚没有失败就不提。
func TestRollback(t *testing.T) {
	rolledBack := 0
	run := func(id string, broken map[string]error) error {
		db := store("")
		db.Fault = func(op, _ string) error {
			if op == "rollback" {
				rolledBack++
			}
			return broken[op]
		}
		return wrapping.NewRepo(db).Rename(t.Context(), id, "Grace")
	}
	diskFull := &kvdb.Error{Op: "rollback", Err: errDisk}

	err := run("nobody", map[string]error{"rollback": diskFull})
	if !errors.Is(err, wrapping.ErrNotFound) {
		t.Errorf("Rename of a missing user whose rollback fails: ErrNotFound, the cause, is not found in the error %q", err)
	}
	if !errors.Is(err, wrapping.ErrStorage) {
		t.Errorf("Rename of a missing user whose rollback fails: ErrStorage, of the rollback, is not found in the error %q", err)
	}
	if ops := outermost(err); len(ops) != 1 || !errors.Is(ops[0], wrapping.ErrNotFound) || !errors.Is(ops[0], wrapping.ErrStorage) {
		t.Errorf("Rename of a missing user whose rollback fails: want one *OpError with both causes in it; err: %v", err)
	}

	rolledBack = 0
	if err := run("nobody", nil); errors.Is(err, wrapping.ErrStorage) {
		t.Errorf("Rename of a missing user, rolled back without a failure: err matches ErrStorage: %v", err)
	}
	if rolledBack != 1 {
		t.Errorf("Rename of a missing user: rolled back %d times, want once", rolledBack)
	}
	rolledBack = 0
	run("u1", map[string]error{"tx put": &kvdb.Error{Op: "tx put", Err: errDisk}})
	if rolledBack != 1 {
		t.Errorf("Rename, the write fails: rolled back %d times, want once", rolledBack)
	}
	commit := &kvdb.Error{Op: "commit", Err: errDisk}
	if err := run("u1", map[string]error{"commit": commit}); strings.Contains(fmt.Sprint(err), kvdb.ErrTxDone.Error()) {
		t.Errorf("Rename, the commit fails: the transaction is over, yet a rollback of it is reported: %v", err)
	}

	for _, c := range []struct{ name, id, to, broken string }{
		{"Rename that works", "u1", "Grace", ""},
		{"Rename to no name", "u1", "", ""},
		{"Rename of a missing user to no name", "nobody", "", ""},
		{"Rename of a missing user", "nobody", "Grace", ""},
		{"Rename, the write fails", "u1", "Grace", "tx put"},
		{"Rename, the commit fails", "u1", "Grace", "commit"},
	} {
		calls := map[string]int{}
		db := store("")
		db.Fault = func(op, _ string) error {
			calls[op]++
			if op == c.broken {
				return &kvdb.Error{Op: op, Err: errDisk}
			}
			return nil
		}
		rename(c.id, c.to)(db)
		if begun, ended := calls["begin"], calls["commit"]+calls["rollback"]; begun != ended {
			t.Errorf("%s: %d transactions begun, %d ended by a commit or a rollback", c.name, begun, ended)
		}
	}
}

// The message is `<operation> user "<id>": <cause>`: the operation once, the user once, the driver's words only where the storage failed.
//
//kata:zh 消息为 `<操作> user "<ID>": <原因>`：操作只出现一次，用户只出现一次，只有存储故障才带驱动的文字。
func TestMessage(t *testing.T) {
	diskFull := func(op string) string { return (&kvdb.Error{Op: op, Err: errDisk}).Error() }
	want := map[string]string{
		"Find of a missing user":                `find user "nobody": not found`,
		"Find of a user with a quote in the id": `find user "a\"b": not found`,
		"Find, the store fails":                 `find user "u1": storage failed: ` + diskFull("get"),
		"Create of an existing user":            `create user "u1": already exists`,
		"Create of a user without a name":       `create user "u2": name: is empty`,
		"Create, the store fails":               `create user "u2": storage failed: ` + diskFull("insert"),
		"Rename of a missing user":              `rename user "nobody": not found`,
		"Rename of no id":                       `rename user "": not found`,
		"Rename to no name":                     `rename user "u1": name: is empty`,
		"Rename, begin fails":                   `rename user "u1": storage failed: ` + diskFull("begin"),
		"Rename, the read fails":                `rename user "u1": storage failed: ` + diskFull("tx get"),
		"Rename, the write fails":               `rename user "u1": storage failed: ` + diskFull("tx put"),
		"Rename, the commit fails":              `rename user "u1": storage failed: ` + diskFull("commit"),
		"Import of an existing user":            `import user "u1": already exists`,
		"Import of a user without an @":         `import user "u2": email: has no @`,
		"Import, the store fails":               `import user "u2": storage failed: ` + diskFull("insert"),
		"Import of two users, the first taken":  `import user "u1": already exists`,
	}
	for _, c := range failures() {
		if got := fmt.Sprint(c.run(store(c.broken))); got != want[c.name] {
			t.Fatalf("%s:\n got message %q\nwant message %q", c.name, got, want[c.name])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := wrapping.NewRepo(store("")).Find(ctx, "u1")
	if want := `find user "u1": context canceled`; fmt.Sprint(err) != want {
		t.Errorf("Find with a cancelled context:\n got message %q\nwant message %q", fmt.Sprint(err), want)
	}
}

// Where nothing failed, the error compares equal to nil.
//
//kata:zh 没有失败时，返回的错误与 nil 比较为真。
func TestNil(t *testing.T) {
	db := kvdb.Open()
	repo := wrapping.NewRepo(db)
	isNil := func(call string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s worked, but err != nil: it is %s", call, describe(err))
		}
	}
	isNil("Validate", ada.Validate())
	isNil("Create", repo.Create(t.Context(), ada))
	isNil("Import of one user", repo.Import(t.Context(), []wrapping.User{grace}))
	isNil("Import of no user", repo.Import(t.Context(), nil))
	isNil("Rename", repo.Rename(t.Context(), "u1", "Countess"))
	got, err := repo.Find(t.Context(), "u1")
	isNil("Find", err)
	if want := (wrapping.User{ID: "u1", Name: "Countess", Email: ada.Email}); got != want {
		t.Errorf("Find after Create and Rename = %+v, want %+v", got, want)
	}
	if _, err := db.Get(t.Context(), "user/u2"); err != nil {
		t.Errorf("after Import of u2, the store has no row user/u2: %v", err)
	}
}

var (
	ada   = wrapping.User{ID: "u1", Name: "Ada", Email: "ada@example.com"}
	grace = wrapping.User{ID: "u2", Name: "Grace", Email: "grace@example.com"}
)

var sentinels = []struct {
	name string
	err  error
}{
	{"ErrNotFound", wrapping.ErrNotFound},
	{"ErrExists", wrapping.ErrExists},
	{"ErrInvalid", wrapping.ErrInvalid},
	{"ErrStorage", wrapping.ErrStorage},
}

type failure struct {
	name   string
	broken string
	run    func(*kvdb.DB) error
	op, id string
	want   error
}

// failures are calls that fail in one way each, on a store that holds u1 and whose operation broken fails.
func failures() []failure {
	return []failure{
		{"Find of a missing user", "", find("nobody"), "find", "nobody", wrapping.ErrNotFound},
		{"Find of a user with a quote in the id", "", find(`a"b`), "find", `a"b`, wrapping.ErrNotFound},
		{"Find, the store fails", "get", find("u1"), "find", "u1", wrapping.ErrStorage},
		{"Create of an existing user", "", create(ada), "create", "u1", wrapping.ErrExists},
		{"Create of a user without a name", "", create(wrapping.User{ID: "u2", Email: "a@b"}), "create", "u2", wrapping.ErrInvalid},
		{"Create, the store fails", "insert", create(grace), "create", "u2", wrapping.ErrStorage},
		{"Rename of a missing user", "", rename("nobody", "Grace"), "rename", "nobody", wrapping.ErrNotFound},
		{"Rename of no id", "", rename("", "Grace"), "rename", "", wrapping.ErrNotFound},
		{"Rename to no name", "", rename("u1", ""), "rename", "u1", wrapping.ErrInvalid},
		{"Rename, begin fails", "begin", rename("u1", "Grace"), "rename", "u1", wrapping.ErrStorage},
		{"Rename, the read fails", "tx get", rename("u1", "Grace"), "rename", "u1", wrapping.ErrStorage},
		{"Rename, the write fails", "tx put", rename("u1", "Grace"), "rename", "u1", wrapping.ErrStorage},
		{"Rename, the commit fails", "commit", rename("u1", "Grace"), "rename", "u1", wrapping.ErrStorage},
		{"Import of an existing user", "", imports(ada), "import", "u1", wrapping.ErrExists},
		{"Import of a user without an @", "", imports(wrapping.User{ID: "u2", Name: "Grace"}), "import", "u2", wrapping.ErrInvalid},
		{"Import, the store fails", "insert", imports(grace), "import", "u2", wrapping.ErrStorage},
		{"Import of two users, the first taken", "", imports(ada, grace), "import", "u1", wrapping.ErrExists},
	}
}

func find(id string) func(*kvdb.DB) error {
	return func(db *kvdb.DB) error {
		_, err := wrapping.NewRepo(db).Find(context.Background(), id)
		return err
	}
}

func create(u wrapping.User) func(*kvdb.DB) error {
	return func(db *kvdb.DB) error { return wrapping.NewRepo(db).Create(context.Background(), u) }
}

func rename(id, name string) func(*kvdb.DB) error {
	return func(db *kvdb.DB) error { return wrapping.NewRepo(db).Rename(context.Background(), id, name) }
}

func imports(users ...wrapping.User) func(*kvdb.DB) error {
	return func(db *kvdb.DB) error { return wrapping.NewRepo(db).Import(context.Background(), users) }
}

// store returns a store that holds u1 and whose operation broken, if any, fails for lack of disk space.
func store(broken string) *kvdb.DB {
	db := kvdb.Open()
	if err := db.Insert(context.Background(), "user/u1", kvdb.Row{"name": ada.Name, "email": ada.Email}); err != nil {
		panic(err)
	}
	if broken != "" {
		fail(db, broken, &kvdb.Error{Op: broken, Err: errDisk})
	}
	return db
}

// fail makes one operation of db fail with err.
func fail(db *kvdb.DB, broken string, err error) *kvdb.DB {
	db.Fault = func(op, _ string) error {
		if op == broken {
			return err
		}
		return nil
	}
	return db
}

func expectIs(t *testing.T, call string, driver, err, want error, name string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s, the driver returns %q: errors.Is(err, %s) = false, want true; err: %v", call, driver, name, err)
	}
}

// tree yields err and everything that it wraps, in the order in which errors.Is looks.
func tree(err error) iter.Seq[error] {
	return func(yield func(error) bool) { walk(err, yield) }
}

func walk(err error, yield func(error) bool) bool {
	if err == nil {
		return true
	}
	if !yield(err) {
		return false
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return walk(e.Unwrap(), yield)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if !walk(inner, yield) {
				return false
			}
		}
	}
	return true
}

// outermost returns the OpErrors of err that are not inside another OpError.
func outermost(err error) []*wrapping.OpError {
	if op, ok := err.(*wrapping.OpError); ok {
		return []*wrapping.OpError{op}
	}
	var ops []*wrapping.OpError
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		ops = outermost(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			ops = append(ops, outermost(inner)...)
		}
	}
	return ops
}

// describe shows an error that should be nil; one that holds a nil pointer has no message to ask for.
func describe(err error) string {
	if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("a nil %T inside a non-nil error", err)
	}
	return fmt.Sprintf("%T: %v", err, err)
}
