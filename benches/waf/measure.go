package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Connections that send at the same time.
const connections = 4

// A figure is what one request cost a process.
type figure struct {
	// Microseconds of CPU, user and system.
	CPU float64 `json:"cpu_us"`
	// Requests answered.
	Requests int `json:"requests"`
	// Resident memory afterwards, bytes.
	Memory int64 `json:"memory_bytes"`
}

// measure sends a request over and over, for a time, and sees what that costs the process.
func measure(pid int, address string, wanted request, during time.Duration) (figure, error) {
	// What is lazy is made before.
	if _, err := load(address, wanted, during/4); err != nil {
		return figure{}, err
	}
	before, err := cpu(pid)
	if err != nil {
		return figure{}, err
	}
	answered, err := load(address, wanted, during)
	if err != nil {
		return figure{}, err
	}
	after, err := cpu(pid)
	if err != nil {
		return figure{}, err
	}
	spent := float64((after - before).Nanoseconds()) / 1000
	return figure{spent / float64(answered), answered, memory(pid)}, nil
}

func load(address string, wanted request, during time.Duration) (int, error) {
	var group sync.WaitGroup
	counts := make([]int, connections)
	problems := make([]error, connections)
	end := time.Now().Add(during)
	for index := range connections {
		group.Add(1)
		go func() {
			defer group.Done()
			counts[index], problems[index] = client(address, wanted, end)
		}()
	}
	group.Wait()
	total := 0
	for index := range connections {
		if problems[index] != nil {
			return 0, problems[index]
		}
		total += counts[index]
	}
	return total, nil
}

// client sends until the end; a server may close the connection after a refusal.
func client(address string, wanted request, end time.Time) (int, error) {
	expected := http.StatusOK
	if wanted.Refused {
		expected = http.StatusForbidden
	}
	count := 0
	for time.Now().Before(end) {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return 0, err
		}
		reader := bufio.NewReader(connection)
		for open := true; open && time.Now().Before(end); {
			connection.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := connection.Write(wanted.Bytes); err != nil {
				break
			}
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				break
			}
			if response.StatusCode != expected {
				return 0, fmt.Errorf("%s: status %d, expected %d", wanted.Name, response.StatusCode, expected)
			}
			io.Copy(io.Discard, response.Body)
			open = !response.Close
			count++
		}
		connection.Close()
	}
	if count == 0 {
		return 0, fmt.Errorf("%s: no answer", wanted.Name)
	}
	return count, nil
}

// cpu is what the kernel counted for a process and its children, to the nanosecond where threads live on.
func cpu(pid int) (time.Duration, error) {
	var total time.Duration
	for _, process := range family(pid) {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", process))
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			// A thread may have ended meanwhile.
			text, _ := os.ReadFile(file)
			if fields := strings.Fields(string(text)); len(fields) > 0 {
				spent, _ := strconv.ParseInt(fields[0], 10, 64)
				total += time.Duration(spent)
			}
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	return total, nil
}

// family is a process and its direct children: nginx works in one.
func family(pid int) []int {
	all := []int{pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(text)) {
			number, _ := strconv.Atoi(child)
			all = append(all, number)
		}
	}
	return all
}

// memory is what is resident of a process and its children.
func memory(pid int) int64 {
	var total int64
	for _, process := range family(pid) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", process))
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}
