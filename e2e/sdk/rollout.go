package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	split1 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha1"
	split2 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha2"
	split3 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha3"
	splitclient "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/split/clientset/versioned"
)

// steps of a roll-out, in percent of the canary.
var steps = []int{0, 5, 10, 25, 33, 50, 75, 99, 100, 0}

// rollout has a controller like Flagger's lead a roll-out at each version that it writes, and one like Argo Rollouts'.
func rollout(ctx context.Context, config *rest.Config, ns string, report *Report) error {
	client, err := splitclient.NewForConfig(config)
	if err != nil {
		return err
	}
	flagger := func(version string, err error) { report.add("TrafficSplit", version, "reconciled and shifted", err) }
	flagger("v1alpha1", shift(ctx, "flagger-1", client.SplitV1alpha1().TrafficSplits(ns),
		func(canary int) split1.TrafficSplit {
			return split1.TrafficSplit{Spec: split1.TrafficSplitSpec{Service: "app", Backends: []split1.TrafficSplitBackend{
				{Service: "app-canary", Weight: resource.NewQuantity(int64(canary), resource.DecimalExponent)},
				{Service: "app-primary", Weight: resource.NewQuantity(int64(100-canary), resource.DecimalExponent)}}}}
		},
		func(split *split1.TrafficSplit) any { return &split.Spec },
		func(split *split1.TrafficSplit) int {
			weight, _ := split.Spec.Backends[0].Weight.AsInt64()
			return int(weight)
		}))
	flagger("v1alpha2", shift(ctx, "flagger-2", client.SplitV1alpha2().TrafficSplits(ns),
		func(canary int) split2.TrafficSplit {
			return split2.TrafficSplit{Spec: split2.TrafficSplitSpec{Service: "app", Backends: []split2.TrafficSplitBackend{
				{Service: "app-canary", Weight: canary}, {Service: "app-primary", Weight: 100 - canary}}}}
		},
		func(split *split2.TrafficSplit) any { return &split.Spec },
		func(split *split2.TrafficSplit) int { return split.Spec.Backends[0].Weight }))
	flagger("v1alpha3", shift(ctx, "flagger-3", client.SplitV1alpha3().TrafficSplits(ns),
		func(canary int) split3.TrafficSplit {
			return split3.TrafficSplit{Spec: split3.TrafficSplitSpec{Service: "app", Backends: []split3.TrafficSplitBackend{
				{Service: "app-canary", Weight: canary}, {Service: "app-primary", Weight: 100 - canary}}}}
		},
		func(split *split3.TrafficSplit) any { return &split.Spec },
		func(split *split3.TrafficSplit) int { return split.Spec.Backends[0].Weight }))
	report.add("TrafficSplit", "v1alpha1", "patched with its root as a backend", argo(ctx, client, ns))
	return nil
}

// shift reconciles a split that is not there, then moves its weights step by step. After each step the weights read as
// they were written, and to compare the spec with what is wanted finds nothing to do.
func shift[T, L any](ctx context.Context, name string, client api[T, L], want func(canary int) T, spec func(*T) any,
	weight func(*T) int) error {
	if _, err := client.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("the split should not be there yet: %v", err)
	}
	first := want(0)
	meta(&first).SetName(name)
	if _, err := client.Create(ctx, &first, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, canary := range steps {
		wanted := want(canary)
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			current, err := client.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			next := clone(&wanted)
			// What a client of its own types keeps of the metadata: all of it.
			meta(next).SetName(name)
			meta(next).SetResourceVersion(meta(current).GetResourceVersion())
			meta(next).SetAnnotations(meta(current).GetAnnotations())
			_, err = client.Update(ctx, next, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			return fmt.Errorf("canary %d: %w", canary, err)
		}
		got, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if weight(got) != canary {
			return fmt.Errorf("canary %d reads as %d", canary, weight(got))
		}
		// A Quantity compares unequal when it is spelled another way, so whoever compares leaves it out.
		if diff := cmp.Diff(spec(&wanted), spec(got), cmpopts.IgnoreTypes(resource.Quantity{})); diff != "" {
			return fmt.Errorf("canary %d would be reconciled again: %s", canary, diff)
		}
		generation := meta(got).GetGeneration()
		again, err := client.Update(ctx, got, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		if meta(again).GetGeneration() != generation {
			return fmt.Errorf("canary %d: generation %d became %d", canary, generation, meta(again).GetGeneration())
		}
	}
	return client.Delete(ctx, name, metav1.DeleteOptions{})
}

// argo makes the root one of its backends, as Argo Rollouts does without a stable Service, and patches the weights.
func argo(ctx context.Context, client splitclient.Interface, ns string) error {
	const name = "argo"
	splits := client.SplitV1alpha1().TrafficSplits(ns)
	spec := func(canary int64) split1.TrafficSplitSpec {
		return split1.TrafficSplitSpec{Service: "app", Backends: []split1.TrafficSplitBackend{
			{Service: "app-canary", Weight: resource.NewQuantity(canary, resource.DecimalSI)},
			{Service: "app", Weight: resource.NewQuantity(100-canary, resource.DecimalSI)}}}
	}
	split := &split1.TrafficSplit{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec(0)}
	if _, err := splits.Create(ctx, split, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, canary := range steps {
		patch, err := json.Marshal(map[string]any{"spec": spec(int64(canary))})
		if err != nil {
			return err
		}
		got, err := splits.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err := is(got, err, &split1.TrafficSplit{Spec: spec(int64(canary))}); err != nil {
			return fmt.Errorf("canary %d: %w", canary, err)
		}
	}
	return splits.Delete(ctx, name, metav1.DeleteOptions{})
}
