package main

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"
)

// versions writes an object of each version, has a client of each other version of the kind edit its labels, and expects
// that it still reads as it was written: what the other version cannot say is not lost by way of it.
func versions(ctx context.Context, config *rest.Config, ns string, report *Report) error {
	all, err := kinds(config, ns)
	if err != nil {
		return err
	}
	for _, writer := range all {
		for _, editor := range all {
			if editor.name != writer.name || editor.version == writer.version {
				continue
			}
			report.add(writer.name, writer.version, "edited at "+editor.version, edited(ctx, writer, editor))
		}
	}
	return nil
}

func edited(ctx context.Context, writer, editor kind) error {
	name := fmt.Sprintf("%s-by-%s", writer.version, editor.version)
	if err := writer.create(ctx, name); err != nil {
		return err
	}
	// Twice, because the second edit starts from what the first one left.
	for _, label := range []string{"first", "second"} {
		if err := editor.label(ctx, name, label); err != nil {
			return fmt.Errorf("%s edit: %w", label, err)
		}
	}
	if err := writer.same(ctx, name); err != nil {
		return err
	}
	return writer.remove(ctx, name)
}
