//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// services are those that a suite of some stage can use. Where a program is not
// in PATH, Debian's places are looked at.
var services = []service{
	{"postgres", "ROADKATA_POSTGRES_DSN", "postgresql", postgres},
	{"redis", "ROADKATA_REDIS_ADDR", "redis-server", redis},
	{"rabbitmq", "ROADKATA_RABBITMQ_URL", "rabbitmq-server", rabbitmq},
	{"nats", "ROADKATA_NATS_URL", "nats-server", nats},
	{"mosquitto", "ROADKATA_MQTT_ADDR", "mosquitto", mosquitto},
	{"zookeeper", "ROADKATA_ZOOKEEPER_ADDR", "zookeeper", zookeeper},
	{"nginx", "ROADKATA_NGINX", "nginx-light", nginx},
}

func postgres(ctx context.Context, dir string, port int) (*server, error) {
	const debian = "/usr/lib/postgresql/*/bin"
	initdb, err := find("initdb", debian)
	if err != nil {
		return nil, err
	}
	bin, err := find("postgres", debian)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	create := exec.CommandContext(ctx, initdb, "--pgdata="+data, "--username=roadkata", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	create.Dir = dir
	if err := unprivileged(create, dir); err != nil {
		return nil, err
	}
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// Nothing has to survive this run, so nothing waits for the disk.
	cmd := exec.Command(bin, "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300", "-c", "max_prepared_transactions=10")
	cmd.Dir = dir
	if err := unprivileged(cmd, dir); err != nil {
		return nil, err
	}
	ready := func(ctx context.Context) error {
		psql, err := find("pg_isready", debian)
		if err != nil {
			return accepts(port)(ctx)
		}
		return exec.CommandContext(ctx, psql, "-h", "127.0.0.1", "-p", strconv.Itoa(port)).Run()
	}
	return &server{value: "postgres://roadkata@" + address(port) + "/postgres?sslmode=disable", cmd: cmd, ready: ready}, nil
}

func redis(_ context.Context, dir string, port int) (*server, error) {
	bin, err := find("redis-server")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--appendonly", "no")
	return &server{value: address(port), cmd: cmd, ready: answers(port, "PING\r\n", "+PONG")}, nil
}

func rabbitmq(_ context.Context, dir string, port int) (*server, error) {
	// Debian's own wrapper in sbin insists on root or the user rabbitmq.
	bin, err := find("rabbitmq-server", "/usr/lib/rabbitmq/bin")
	if err != nil {
		return nil, err
	}
	dist, err := freePort()
	if err != nil {
		return nil, err
	}
	mapper, err := freePort()
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(),
		"HOME="+dir, // the cookie of Erlang's
		"RABBITMQ_NODENAME=roadkata-"+strconv.Itoa(port)+"@localhost",
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(dist),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_SCHEMA_DIR="+filepath.Join(dir, "schema"),
		"RABBITMQ_GENERATED_CONFIG_DIR="+filepath.Join(dir, "config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"),
		// A port mapper of its own, which outlives the server and is ended by finish.
		"ERL_EPMD_PORT="+strconv.Itoa(mapper),
		"ERL_EPMD_ADDRESS=127.0.0.1",
	)
	cmd := exec.Command(bin)
	cmd.Dir, cmd.Env = dir, env
	srv := &server{value: "amqp://guest:guest@" + address(port) + "/", cmd: cmd, ready: answers(port, "AMQP\x00\x00\x09\x01", "AMQPLAIN")}
	if epmd, err := find("epmd", "/usr/lib/erlang/erts-*/bin"); err == nil {
		srv.finish = exec.Command(epmd, "-kill")
		srv.finish.Env = env
	}
	return srv, nil
}

func nats(_ context.Context, dir string, port int) (*server, error) {
	bin, err := find("nats-server", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, "--addr", "127.0.0.1", "--port", strconv.Itoa(port), "--jetstream", "--store_dir", dir)
	return &server{value: "nats://" + address(port), cmd: cmd, ready: answers(port, "", "INFO")}, nil
}

func mosquitto(_ context.Context, dir string, port int) (*server, error) {
	bin, err := find("mosquitto", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\n", port)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return &server{value: address(port), cmd: exec.Command(bin, "-c", config), ready: accepts(port)}, nil
}

func zookeeper(_ context.Context, dir string, port int) (*server, error) {
	java, err := find("java")
	if err != nil {
		return nil, err
	}
	const classes = "/usr/share/java/zookeeper.jar" // names the others in its manifest
	if _, err := os.Stat(classes); err != nil {
		return nil, errMissing
	}
	config := filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=200\ndataDir=%s\nclientPortAddress=127.0.0.1\nclientPort=%d\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=srvr,ruok\nminSessionTimeout=400\nmaxSessionTimeout=60000\n",
		filepath.Join(dir, "data"), port)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(java, "-Xmx256m", "-cp", classes, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
	cmd.Dir = dir
	return &server{value: address(port), cmd: cmd, ready: answers(port, "srvr", "Mode:")}, nil
}

// nginx is started by each suite that uses it, with a configuration of its own.
func nginx(ctx context.Context, _ string, _ int) (*server, error) {
	bin, err := find("nginx", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, bin, "-v").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s -v: %w\n%s", bin, err, strings.TrimSpace(string(out)))
	}
	return &server{value: bin}, nil
}
