// gRPC: the cases of grpc-go's own interop client, a program of its own, one process each.
package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	grpcClient    = "/bin/grpc-client"
	grpcCaseLimit = time.Minute
	// What orca_per_rpc and orca_oob look at; the other cases do not mind.
	grpcServiceConfig = `{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`
)

// All that it has, but those for which credentials have to come from a cloud, and pick_first_unary, for which the server has to
// say who it is, as grpc-go's does not.
var grpcNames = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
	"special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service",
	"orca_per_rpc", "orca_oob", "rpc_soak", "channel_soak",
}

func grpcCases(host, port string) (Report, error) {
	var report Report
	for _, name := range grpcNames {
		report.add(name, grpcCase(host, port, name))
	}
	return report, nil
}

func grpcCase(host, port, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), grpcCaseLimit)
	defer cancel()
	args := []string{"-server_host", host, "-server_port", port, "-test_case", name}
	if strings.HasPrefix(name, "orca") {
		args = append(args, "-service_config_json", grpcServiceConfig)
	}
	output, err := exec.CommandContext(ctx, grpcClient, args...).CombinedOutput()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
