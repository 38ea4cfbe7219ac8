// Command worker probes from inside a pod: it speaks as cyclonus' own worker does (pkg/worker) and connects as `agnhost connect` does,
// but in one process, all at once, where the other starts an agnhost for each connection.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// As cyclonus' worker: what a probe waits for an answer.
const timeout = time.Second

type request struct {
	Key      string
	Protocol string
	Host     string
	Port     int
}

type result struct {
	Request *request
	Output  string
	Error   string
}

func main() {
	jobs := flag.String("jobs", "", "a batch of requests, as JSON")
	flag.Parse()
	var batch struct{ Requests []*request }
	if err := json.Unmarshal([]byte(*jobs), &batch); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	results := make([]result, len(batch.Requests))
	var all sync.WaitGroup
	for i, request := range batch.Requests {
		all.Go(func() {
			results[i].Request = request
			if err := connect(request); err != nil {
				results[i].Error = err.Error()
			}
		})
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		os.Exit(1)
	}
}

func connect(request *request) error {
	address := net.JoinHostPort(request.Host, strconv.Itoa(request.Port))
	switch request.Protocol {
	case "TCP":
		connection, err := net.DialTimeout("tcp", address, timeout)
		if err == nil {
			err = connection.Close()
		}
		return err
	case "UDP":
		return exchange(address)
	default:
		return fmt.Errorf("protocol %s", request.Protocol)
	}
}

// exchange sends a datagram and waits for one: silence is all that says a datagram was dropped.
func exchange(address string) error {
	connection, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := connection.Write([]byte("\n")); err != nil {
		return err
	}
	_, err = connection.Read(make([]byte, 1024))
	return err
}
