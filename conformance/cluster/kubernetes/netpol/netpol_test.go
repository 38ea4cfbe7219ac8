// Package netpol is the upstream NetworkPolicy specs alone, without the three thousand others that test/e2e links. Where
// PALISADE_SPECS names a file, each spec that has ended appends a line of JSON to it.
package netpol

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	_ "k8s.io/kubernetes/test/e2e/network/netpol"
)

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	framework.AfterReadingAllFlags(&framework.TestContext)
	os.Exit(m.Run())
}

func TestNetpol(t *testing.T) {
	gomega.RegisterFailHandler(framework.Fail)
	running = true
	ginkgo.RunSpecs(t, "NetworkPolicy")
}

// running tells the real run from the preview of all specs that the framework makes when it has read its flags, and in which
// every spec "passes".
var running bool

// line is what is said of a spec, or, with Specs alone, how many there will be.
type line struct {
	Specs   int     `json:"specs,omitempty"`
	Name    string  `json:"name,omitempty"`
	State   string  `json:"state,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Message string  `json:"message,omitempty"`
}

var _ = ginkgo.ReportBeforeSuite(func(report ginkgo.Report) {
	say(line{Specs: report.PreRunStats.SpecsThatWillRun})
})

var _ = ginkgo.ReportAfterEach(func(report ginkgo.SpecReport) {
	// Those that the focus leaves out are skipped without having been begun.
	if report.State == types.SpecStateSkipped && report.StartTime.IsZero() {
		return
	}
	say(line{Name: report.FullText(), State: report.State.String(), Seconds: time.Since(report.StartTime).Seconds(), Message: report.Failure.Message})
})

// say appends in one write, so that lines of processes side by side stay whole.
func say(what line) {
	path := os.Getenv("PALISADE_SPECS")
	if path == "" || !running {
		return
	}
	text, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if _, err := file.Write(append(text, '\n')); err != nil {
		panic(err)
	}
}
