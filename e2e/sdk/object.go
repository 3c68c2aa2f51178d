package main

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// meta is the metadata of any kind.
func meta[T any](object *T) metav1.Object {
	return any(object).(metav1.Object)
}

func clone[T any](object *T) *T {
	return any(any(object).(runtime.Object).DeepCopyObject()).(*T)
}

// content is an object without metadata: some kinds have a spec, and others fields beside it.
func content[T any](object *T) T {
	content := clone(object)
	fields := reflect.ValueOf(content).Elem()
	for _, field := range []string{"TypeMeta", "ObjectMeta"} {
		fields.FieldByName(field).SetZero()
	}
	return *content
}

func text(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// severalHeaders says whether some match of an HTTPRouteGroup has more than one header.
func severalHeaders[T any](object *T) bool {
	fields := reflect.ValueOf(object).Elem()
	if spec := fields.FieldByName("Spec"); spec.IsValid() {
		fields = spec
	}
	matches := fields.FieldByName("Matches")
	if !matches.IsValid() || matches.Kind() != reflect.Slice {
		return false
	}
	for i := range matches.Len() {
		if headers := matches.Index(i).FieldByName("Headers"); headers.IsValid() && headers.Len() > 1 {
			return true
		}
	}
	return false
}

// pause is the time between two looks at what is awaited.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}
