// Command cases runs cases of cyclonus one by one in a world of its own: three namespaces with three pods each, as many of which may stand
// beside each other in a cluster as it has room for. It reads numbers of cases, one a line, and answers each with a line of JSON.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mattfenwick/cyclonus/pkg/connectivity"
	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/kube"
	v1 "k8s.io/api/core/v1"
)

var (
	namespaces = []string{"x", "y", "z"}
	pods       = []string{"a", "b", "c"}
	ports      = []int{80, 81}
	protocols  = []v1.Protocol{v1.ProtocolTCP, v1.ProtocolUDP}
)

const (
	// What cyclonus waits after each change, by default 5. A probe that is wrong is tried again, so a slow engine is no fault.
	waitSeconds = 1
	retries     = 3
	// As with its --ignore-loopback: no policy keeps a pod from itself (kubernetes.io/docs/concepts/services-networking/network-policies).
	ignoreLoopback = true
	// For nine pods of four containers, with other worlds beside them on a busy machine.
	creationSeconds = 300
)

type answer struct {
	Case    int      `json:"case"`
	Name    string   `json:"name"`
	Tags    []string `json:"tags,omitempty"`
	Passed  bool     `json:"passed"`
	Seconds float64  `json:"seconds"`
	Message string   `json:"message,omitempty"`
}

func main() {
	list := flag.Bool("list", false, "print all cases and end")
	world := flag.String("world", "w1", "what tells this world's namespaces from those of others")
	image := flag.String("image", "", "the image of the pods, with /agnhost and /worker")
	flag.Parse()
	// cyclonus prints to standard output what people read.
	out := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	if *list {
		for i, c := range cases("10.0.0.1") {
			check(out.Encode(answer{Case: i + 1, Name: c.Description, Tags: c.Tags.Keys()}))
		}
		return
	}
	client, err := kube.NewKubernetesForContext("")
	check(err)
	cluster := newWorld(client, *world, *image)
	resources, err := probe.NewDefaultResources(cluster, namespaces, pods, ports, protocols, nil, creationSeconds, true, "")
	check(err)
	last, err := resources.GetPod("z", "c")
	check(err)
	all := cases(last.IP)
	config := &connectivity.InterpreterConfig{
		ResetClusterBeforeTestCase:       true,
		VerifyClusterStateBeforeTestCase: true,
		KubeProbeRetries:                 retries,
		PerturbationWaitSeconds:          waitSeconds,
		BatchJobs:                        true,
		IgnoreLoopback:                   ignoreLoopback,
		JobTimeoutSeconds:                1,
	}
	interpreter := connectivity.NewInterpreter(cluster, resources, config)
	numbers := bufio.NewScanner(os.Stdin)
	for numbers.Scan() {
		number, err := strconv.Atoi(numbers.Text())
		check(err)
		if number < 1 || number > len(all) {
			check(fmt.Errorf("there is no case %d: they are 1 to %d", number, len(all)))
		}
		check(out.Encode(run(interpreter, number, all[number-1])))
	}
	check(numbers.Err())
}

// cases are all of them, in cyclonus' own order.
func cases(podIP string) []*generator.TestCase {
	return generator.NewTestCaseGenerator(true, podIP, namespaces, nil, nil).GenerateAllTestCases()
}

func run(interpreter *connectivity.Interpreter, number int, c *generator.TestCase) answer {
	// There is no DNS. Of a pod that a case makes, or gives other labels, cyclonus knows no Service's address.
	mode := generator.ProbeMode(generator.ProbeModeServiceIP)
	for _, step := range c.Steps {
		for _, action := range step.Actions {
			if action.CreatePod != nil || action.SetPodLabels != nil {
				mode = generator.ProbeModePodIP
			}
		}
	}
	for _, step := range c.Steps {
		// Steps share their probes.
		probe := *step.Probe
		probe.Mode = mode
		step.Probe = &probe
	}
	fmt.Printf("case %d\n", number)
	begin := time.Now()
	result := interpreter.ExecuteTestCase(c)
	this := answer{Case: number, Name: c.Description, Seconds: time.Since(begin).Seconds()}
	// A change that could not be made says nothing about the engine: whoever asked may ask again.
	check(result.Err)
	this.Passed = result.Passed(ignoreLoopback)
	if !this.Passed {
		this.Message = differences(result)
		(&connectivity.Printer{Noisy: true, IgnoreLoopback: ignoreLoopback}).PrintTestCaseResult(result)
	}
	return this
}

// differences tells what was found otherwise than expected.
func differences(result *connectivity.Result) string {
	const most = 20
	var lines []string
	for i, step := range result.Steps {
		comparison := step.LastComparison()
		for _, key := range comparison.Wrapped.Keys() {
			if ignoreLoopback && key.From == key.To {
				continue
			}
			item := comparison.Get(key.From, key.To)
			for port, expected := range item.Simulated.JobResults {
				found, ok := item.Kube.JobResults[port]
				if ok && found.Combined != expected.Combined {
					lines = append(lines, fmt.Sprintf("step %d: %s to %s %s: %s, expected %s", i+1, key.From, key.To, port, found.Combined, expected.Combined))
				}
			}
		}
	}
	count := len(lines)
	if count > most {
		lines = append(lines[:most], "…")
	}
	return fmt.Sprintf("%d differences\n%s", count, strings.Join(lines, "\n"))
}

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %+v\n", err)
		os.Exit(1)
	}
}
