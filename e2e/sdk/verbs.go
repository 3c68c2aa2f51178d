package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	jsonpatch "github.com/evanphx/json-patch"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// api is what the SDK's clients have in common, for objects T and lists L of them.
type api[T, L any] interface {
	Create(context.Context, *T, metav1.CreateOptions) (*T, error)
	Update(context.Context, *T, metav1.UpdateOptions) (*T, error)
	Delete(context.Context, string, metav1.DeleteOptions) error
	DeleteCollection(context.Context, metav1.DeleteOptions, metav1.ListOptions) error
	Get(context.Context, string, metav1.GetOptions) (*T, error)
	List(context.Context, metav1.ListOptions) (*L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
	Patch(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*T, error)
}

// kind is one kind at one version.
type kind struct {
	name, version string
	// verbs asks every question, with an object of this name.
	verbs func(ctx context.Context, name string, report *Report)
	// create writes the kind's object under a name; same says whether it still reads as it was written.
	create func(ctx context.Context, name string) error
	same   func(ctx context.Context, name string) error
	// label gets an object, adds a label and updates it, as somebody does who has no business with its spec.
	label  func(ctx context.Context, name, label string) error
	remove func(ctx context.Context, name string) error
}

type subject[T, L any] struct {
	kind, version string
	client        api[T, L]
	informer      cache.SharedIndexInformer
	object        T
	edit          func(*T)
	patch         string
}

// of is the kind that client speaks to. edit and patch change object, or do nothing where there is nothing to change.
func of[T, L any](name, version string, client api[T, L], informer cache.SharedIndexInformer, object T, edit func(*T),
	patch string) kind {
	s := subject[T, L]{kind: name, version: version, client: client, informer: informer, object: object, edit: edit, patch: patch}
	return kind{name: name, version: version, verbs: s.verbs, create: s.create, same: s.same, label: s.label, remove: s.remove}
}

func verbs(ctx context.Context, config *rest.Config, ns string, report *Report) error {
	all, err := kinds(config, ns)
	if err != nil {
		return err
	}
	reports := make([]Report, len(all))
	done := make(chan struct{})
	for i, kind := range all {
		go func() {
			kind.verbs(ctx, "verbs-"+kind.version, &reports[i])
			done <- struct{}{}
		}()
	}
	for range all {
		<-done
	}
	for _, one := range reports {
		report.Cases = append(report.Cases, one.Cases...)
	}
	return nil
}

func (s *subject[T, L]) verbs(ctx context.Context, name string, report *Report) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ask := func(verb string, question func() error) bool {
		err := question()
		report.add(s.kind, s.version, verb, err)
		return err == nil
	}
	want := s.written(name)
	var watched watch.Interface
	if !ask("watch", func() (err error) { watched, err = s.watches(ctx, name); return err }) {
		return
	}
	defer watched.Stop()
	go s.informer.Run(ctx.Done())
	if !ask("create", func() error {
		got, err := s.client.Create(ctx, want, metav1.CreateOptions{})
		return is(got, err, want)
	}) {
		return
	}
	ask("get", func() error { return s.reads(ctx, name, want) })
	ask("list", func() error { return s.lists(ctx, want) })
	ask("informer", func() error { return s.informs(ctx, want) })
	ask("update", func() error {
		if s.edit != nil {
			s.edit(want)
		}
		got, err := s.updated(ctx, name, s.edit)
		return is(got, err, want)
	})
	ask("update nothing", func() error { return s.updatesNothing(ctx, name) })
	for _, patch := range []struct {
		verb string
		how  types.PatchType
	}{{"merge patch", types.MergePatchType}, {"JSON patch", types.JSONPatchType}} {
		ask(patch.verb, func() error { return s.patches(ctx, name, patch.how, want) })
	}
	ask("apply", func() error { return s.applies(ctx, name+"-applied") })
	ask("delete", func() error { return s.deletes(ctx, name) })
	ask("delete collection", func() error { return s.deletesCollection(ctx, name) })
	ask("events", func() error { return sees(ctx, watched, want) })
}

// watches watches an object that does not exist yet, from the present on. While the API server still reads the objects of
// a version that was never asked for, it says so, and whoever lists and watches tries again.
func (s *subject[T, L]) watches(ctx context.Context, name string) (watch.Interface, error) {
	only := metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	for {
		list, err := s.client.List(ctx, only)
		if err == nil {
			only.ResourceVersion = any(list).(metav1.ListInterface).GetResourceVersion()
			return s.client.Watch(ctx, only)
		}
		if !apierrors.IsTimeout(err) && !apierrors.IsTooManyRequests(err) || ctx.Err() != nil {
			return nil, err
		}
		pause(ctx)
	}
}

// written is the kind's object under a name.
func (s *subject[T, L]) written(name string) *T {
	object := clone(&s.object)
	meta(object).SetName(name)
	return object
}

func (s *subject[T, L]) reads(ctx context.Context, name string, want *T) error {
	got, err := s.client.Get(ctx, name, metav1.GetOptions{})
	return is(got, err, want)
}

func (s *subject[T, L]) lists(ctx context.Context, want *T) error {
	list, err := s.client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	items := reflect.ValueOf(list).Elem().FieldByName("Items").Interface().([]T)
	for i := range items {
		if meta(&items[i]).GetName() == meta(want).GetName() {
			return is(&items[i], nil, want)
		}
	}
	return fmt.Errorf("not among %d", len(items))
}

func (s *subject[T, L]) informs(ctx context.Context, want *T) error {
	if !cache.WaitForCacheSync(ctx.Done(), s.informer.HasSynced) {
		return errors.New("the cache was never in sync")
	}
	// In sync, the informer may have listed before the object was created.
	for ctx.Err() == nil {
		for _, object := range s.informer.GetStore().List() {
			if got, ok := object.(*T); ok && meta(got).GetName() == meta(want).GetName() {
				return is(got, nil, want)
			}
		}
		pause(ctx)
	}
	return ctx.Err()
}

// updated gets an object, edits it and updates it. The operator writes the status meanwhile: a conflict is normal.
func (s *subject[T, L]) updated(ctx context.Context, name string, edit func(*T)) (got *T, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		current, err := s.client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if edit != nil {
			edit(current)
		}
		got, err = s.client.Update(ctx, current, metav1.UpdateOptions{})
		return err
	})
	return got, err
}

// updatesNothing wants an update that changes nothing to be none: whoever reconciles would never come to rest.
func (s *subject[T, L]) updatesNothing(ctx context.Context, name string) error {
	before, err := s.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if severalHeaders(before) {
		// The SDK writes the headers of a match as a list in the order of a map, which is another one each time.
		return nil
	}
	after, err := s.updated(ctx, name, nil)
	if err != nil {
		return err
	}
	if was, is := meta(before).GetGeneration(), meta(after).GetGeneration(); was != is {
		return fmt.Errorf("generation %d became %d", was, is)
	}
	return nil
}

// patches changes the object, and want with it.
func (s *subject[T, L]) patches(ctx context.Context, name string, how types.PatchType, want *T) error {
	patch := []byte(s.patch)
	if how == types.JSONPatchType {
		patch = []byte(`[{"op": "add", "path": "/metadata/labels", "value": {"patched": "true"}}]`)
	} else {
		old, err := json.Marshal(want)
		if err != nil {
			return err
		}
		changed, err := jsonpatch.MergePatch(old, patch)
		if err != nil {
			return err
		}
		*want = *new(T)
		if err := json.Unmarshal(changed, want); err != nil {
			return err
		}
	}
	got, err := s.client.Patch(ctx, name, how, patch, metav1.PatchOptions{})
	if err := is(got, err, want); err != nil {
		return err
	}
	return s.reads(ctx, name, want)
}

// applies makes an object by server-side apply, changes it in the same way, and deletes it.
func (s *subject[T, L]) applies(ctx context.Context, name string) error {
	want := s.written(name)
	for range 2 {
		manifest, err := s.manifest(want)
		if err != nil {
			return err
		}
		got, err := s.client.Patch(ctx, name, types.ApplyPatchType, manifest, metav1.PatchOptions{FieldManager: "sdk"})
		if err := is(got, err, want); err != nil {
			return err
		}
		if s.edit != nil {
			s.edit(want)
		}
	}
	return s.client.Delete(ctx, name, metav1.DeleteOptions{})
}

// manifest is an object as a file has it.
func (s *subject[T, L]) manifest(object *T) ([]byte, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var manifest map[string]interface{}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, err
	}
	groups := map[string]string{"TrafficSplit": "split", "TrafficTarget": "access"}
	group := groups[s.kind]
	if group == "" {
		group = "specs"
	}
	manifest["apiVersion"], manifest["kind"] = group+".smi-spec.io/"+s.version, s.kind
	return json.Marshal(manifest)
}

func (s *subject[T, L]) deletes(ctx context.Context, name string) error {
	if err := s.client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	if _, err := s.client.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("it should be gone, but: %v", err)
	}
	return nil
}

func (s *subject[T, L]) deletesCollection(ctx context.Context, name string) error {
	object := s.written(name + "-collection")
	meta(object).SetLabels(map[string]string{"collection": name})
	if _, err := s.client.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	selected := metav1.ListOptions{LabelSelector: "collection=" + name}
	if err := s.client.DeleteCollection(ctx, metav1.DeleteOptions{}, selected); err != nil {
		return err
	}
	if _, err := s.client.Get(ctx, meta(object).GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("it should be gone, but: %v", err)
	}
	return nil
}

// sees expects that a watch told of an object from its creation to its end, and of its last state.
func sees[T any](ctx context.Context, watched watch.Interface, want *T) error {
	var seen []string
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w after %s", ctx.Err(), strings.Join(seen, ", "))
		case event, open := <-watched.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended after %s", strings.Join(seen, ", "))
			}
			got, ok := event.Object.(interface{}).(*T)
			if !ok {
				return fmt.Errorf("%s of %v", event.Type, event.Object)
			}
			seen = append(seen, string(event.Type))
			if event.Type != watch.Deleted {
				continue
			}
			if seen[0] != string(watch.Added) {
				return fmt.Errorf("the first of %s", strings.Join(seen, ", "))
			}
			return is(got, nil, want)
		}
	}
}

func (s *subject[T, L]) create(ctx context.Context, name string) error {
	_, err := s.client.Create(ctx, s.written(name), metav1.CreateOptions{})
	return err
}

func (s *subject[T, L]) same(ctx context.Context, name string) error {
	return s.reads(ctx, name, s.written(name))
}

func (s *subject[T, L]) label(ctx context.Context, name, label string) error {
	got, err := s.updated(ctx, name, func(object *T) {
		labels := meta(object).GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[label] = "true"
		meta(object).SetLabels(labels)
	})
	if err == nil && meta(got).GetLabels()[label] != "true" {
		return fmt.Errorf("it has the labels %v", meta(got).GetLabels())
	}
	return err
}

func (s *subject[T, L]) remove(ctx context.Context, name string) error {
	return s.client.Delete(ctx, name, metav1.DeleteOptions{})
}

// is passes on err, and else compares all but the metadata.
func is[T any](got *T, err error, want *T) error {
	if err != nil {
		return err
	}
	if is, wanted := content(got), content(want); !equality.Semantic.DeepEqual(is, wanted) {
		return fmt.Errorf("it is %s, and was written as %s", text(is), text(wanted))
	}
	return nil
}
