package main

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/rest"

	access1 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/access/v1alpha1"
	access2 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/access/v1alpha2"
	access3 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/access/v1alpha3"
	specs1 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha1"
	specs2 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha2"
	specs3 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha3"
	specs4 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/specs/v1alpha4"
	split1 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha1"
	split2 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha2"
	split3 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha3"
	split4 "github.com/servicemeshinterface/smi-sdk-go/pkg/apis/split/v1alpha4"
	accessclient "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/access/clientset/versioned"
	accessinformers "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/access/informers/externalversions"
	specsclient "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/specs/clientset/versioned"
	specsscheme "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/specs/clientset/versioned/scheme"
	specsinformers "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/specs/informers/externalversions"
	splitclient "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/split/clientset/versioned"
	splitinformers "github.com/servicemeshinterface/smi-sdk-go/pkg/gen/client/split/informers/externalversions"
)

// kinds is every kind at every version of the SDK, in the namespace ns, each with an object that uses all that the
// version can say.
func kinds(config *rest.Config, ns string) ([]kind, error) {
	split, err := splitclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	access, err := accessclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	specs, err := specsclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	splits := splitinformers.NewSharedInformerFactoryWithOptions(split, 0, splitinformers.WithNamespace(ns)).Split()
	accesses := accessinformers.NewSharedInformerFactoryWithOptions(access, 0, accessinformers.WithNamespace(ns)).Access()
	specses := specsinformers.NewSharedInformerFactoryWithOptions(specs, 0, specsinformers.WithNamespace(ns)).Specs()

	// The SDK has types and a client for UDPRoutes, and forgets to say so where the client looks for their names.
	specsscheme.Scheme.AddKnownTypes(specs4.SchemeGroupVersion, &specs4.UDPRoute{}, &specs4.UDPRouteList{})

	port := 8080
	return []kind{
		of("TrafficSplit", "v1alpha1", split.SplitV1alpha1().TrafficSplits(ns), splits.V1alpha1().TrafficSplits().Informer(),
			split1.TrafficSplit{Spec: split1.TrafficSplitSpec{Service: "web", Backends: []split1.TrafficSplitBackend{
				{Service: "web-v1", Weight: quantity("500m")}, {Service: "web-v2", Weight: quantity("1")}}}},
			func(o *split1.TrafficSplit) { o.Spec.Backends[0].Weight = quantity("250m") },
			`{"spec":{"service":"shop"}}`),
		of("TrafficSplit", "v1alpha2", split.SplitV1alpha2().TrafficSplits(ns), splits.V1alpha2().TrafficSplits().Informer(),
			split2.TrafficSplit{Spec: split2.TrafficSplitSpec{Service: "web", Backends: []split2.TrafficSplitBackend{
				{Service: "web-v1", Weight: 50}, {Service: "web-v2", Weight: 0}}}},
			func(o *split2.TrafficSplit) { o.Spec.Backends[1].Weight = 50 },
			`{"spec":{"service":"shop"}}`),
		of("TrafficSplit", "v1alpha3", split.SplitV1alpha3().TrafficSplits(ns), splits.V1alpha3().TrafficSplits().Informer(),
			split3.TrafficSplit{Spec: split3.TrafficSplitSpec{Service: "web", Matches: firefox(), Backends: []split3.TrafficSplitBackend{
				{Service: "web-v1", Weight: 90}, {Service: "web-v2", Weight: 10}}}},
			func(o *split3.TrafficSplit) { o.Spec.Backends[1].Weight = 20 },
			`{"spec":{"matches":null}}`),
		of("TrafficSplit", "v1alpha4", split.SplitV1alpha4().TrafficSplits(ns), splits.V1alpha4().TrafficSplits().Informer(),
			split4.TrafficSplit{Spec: split4.TrafficSplitSpec{Service: "web", Matches: firefox(), Backends: []split4.TrafficSplitBackend{
				{Service: "web-v1", Weight: 90}, {Service: "web-v2", Weight: 10}}}},
			func(o *split4.TrafficSplit) { o.Spec.Backends[1].Weight = 20 },
			`{"spec":{"matches":null}}`),

		of("TrafficTarget", "v1alpha1", access.AccessV1alpha1().TrafficTargets(ns), accesses.V1alpha1().TrafficTargets().Informer(),
			access1.TrafficTarget{
				Destination: access1.IdentityBindingSubject{Kind: "ServiceAccount", Name: "web", Namespace: ns, Port: port},
				Sources:     []access1.IdentityBindingSubject{{Kind: "ServiceAccount", Name: "client", Namespace: ns}},
				Specs:       []access1.TrafficTargetSpec{{Kind: "HTTPRouteGroup", Name: "web", Matches: []string{"api"}}}},
			func(o *access1.TrafficTarget) { o.Specs[0].Matches = []string{"api", "metrics"} },
			`{"destination":{"port":9090}}`),
		of("TrafficTarget", "v1alpha2", access.AccessV1alpha2().TrafficTargets(ns), accesses.V1alpha2().TrafficTargets().Informer(),
			access2.TrafficTarget{Spec: access2.TrafficTargetSpec{
				Destination: access2.IdentityBindingSubject{Kind: "ServiceAccount", Name: "web", Namespace: ns, Port: &port},
				Sources:     []access2.IdentityBindingSubject{{Kind: "ServiceAccount", Name: "client", Namespace: ns}},
				Rules:       []access2.TrafficTargetRule{{Kind: "HTTPRouteGroup", Name: "web", Matches: []string{"api"}}}}},
			func(o *access2.TrafficTarget) { o.Spec.Rules[0].Matches = []string{"api", "metrics"} },
			`{"spec":{"destination":{"port":9090}}}`),
		of("TrafficTarget", "v1alpha3", access.AccessV1alpha3().TrafficTargets(ns), accesses.V1alpha3().TrafficTargets().Informer(),
			access3.TrafficTarget{Spec: access3.TrafficTargetSpec{
				Destination: access3.IdentityBindingSubject{Kind: "ServiceAccount", Name: "web", Namespace: ns},
				Sources:     []access3.IdentityBindingSubject{{Kind: "ServiceAccount", Name: "client", Namespace: ns}},
				Rules: []access3.TrafficTargetRule{
					{Kind: "HTTPRouteGroup", Name: "web", Matches: []string{"api"}}, {Kind: "TCPRoute", Name: "web"}}}},
			func(o *access3.TrafficTarget) { o.Spec.Rules[0].Matches = []string{"api", "metrics"} },
			`{"spec":{"destination":{"name":"shop"}}}`),

		of("HTTPRouteGroup", "v1alpha1", specs.SpecsV1alpha1().HTTPRouteGroups(ns), specses.V1alpha1().HTTPRouteGroups().Informer(),
			specs1.HTTPRouteGroup{Matches: []specs1.HTTPMatch{
				{Name: "api", PathRegex: "/api", Methods: []string{"GET", "POST"}}, {Name: "all", PathRegex: ".*", Methods: []string{"*"}}}},
			func(o *specs1.HTTPRouteGroup) { o.Matches[0].PathRegex = "/v1/api" },
			`{"matches":[{"name":"api","pathRegex":"/v2/api","methods":["GET"]}]}`),
		of("HTTPRouteGroup", "v1alpha2", specs.SpecsV1alpha2().HTTPRouteGroups(ns), specses.V1alpha2().HTTPRouteGroups().Informer(),
			specs2.HTTPRouteGroup{Matches: []specs2.HTTPMatch{{Name: "api", PathRegex: "/api", Methods: []string{"GET", "POST"}},
				{Name: "insiders", Headers: map[string]string{"cookie": "^(.*?;)?(type=insider)(;.*)?$"}}}},
			func(o *specs2.HTTPRouteGroup) { o.Matches[1].Headers["user-agent"] = ".*Android.*" },
			`{"matches":[{"name":"api","headers":[{"user-agent":".*Firefox.*"}]}]}`),
		of("HTTPRouteGroup", "v1alpha3", specs.SpecsV1alpha3().HTTPRouteGroups(ns), specses.V1alpha3().HTTPRouteGroups().Informer(),
			specs3.HTTPRouteGroup{Spec: specs3.HTTPRouteGroupSpec{Matches: []specs3.HTTPMatch{
				{Name: "api", PathRegex: "/api", Methods: []string{"GET", "POST"}},
				{Name: "insiders", Headers: map[string]string{"cookie": "^(.*?;)?(type=insider)(;.*)?$"}}}}},
			func(o *specs3.HTTPRouteGroup) { o.Spec.Matches[1].Headers["user-agent"] = ".*Android.*" },
			`{"spec":{"matches":[{"name":"api","headers":[{"user-agent":".*Firefox.*"}]}]}}`),
		of("HTTPRouteGroup", "v1alpha4", specs.SpecsV1alpha4().HTTPRouteGroups(ns), specses.V1alpha4().HTTPRouteGroups().Informer(),
			specs4.HTTPRouteGroup{Spec: specs4.HTTPRouteGroupSpec{Matches: []specs4.HTTPMatch{
				{Name: "api", PathRegex: "/api", Methods: []string{"GET", "POST"}},
				{Name: "insiders", Headers: map[string]string{"cookie": "^(.*?;)?(type=insider)(;.*)?$"}}}}},
			func(o *specs4.HTTPRouteGroup) { o.Spec.Matches[1].Headers["user-agent"] = ".*Android.*" },
			`{"spec":{"matches":[{"name":"api","headers":[{"user-agent":".*Firefox.*"}]}]}}`),

		// Up to v1alpha3 a TCPRoute says nothing.
		of("TCPRoute", "v1alpha1", specs.SpecsV1alpha1().TCPRoutes(ns), specses.V1alpha1().TCPRoutes().Informer(),
			specs1.TCPRoute{}, nil, `{}`),
		of("TCPRoute", "v1alpha2", specs.SpecsV1alpha2().TCPRoutes(ns), specses.V1alpha2().TCPRoutes().Informer(),
			specs2.TCPRoute{}, nil, `{}`),
		of("TCPRoute", "v1alpha3", specs.SpecsV1alpha3().TCPRoutes(ns), specses.V1alpha3().TCPRoutes().Informer(),
			specs3.TCPRoute{}, nil, `{}`),
		of("TCPRoute", "v1alpha4", specs.SpecsV1alpha4().TCPRoutes(ns), specses.V1alpha4().TCPRoutes().Informer(),
			specs4.TCPRoute{Spec: specs4.TCPRouteSpec{Matches: specs4.TCPMatch{Ports: []int{3306, 6446}}}},
			func(o *specs4.TCPRoute) { o.Spec.Matches.Ports = append(o.Spec.Matches.Ports, 33060) },
			`{"spec":{"matches":{"ports":[5432]}}}`),
		of("UDPRoute", "v1alpha4", specs.SpecsV1alpha4().UDPRoutes(ns), specses.V1alpha4().UDPRoutes().Informer(),
			specs4.UDPRoute{Spec: specs4.UDPRouteSpec{Matches: specs4.UDPMatch{Ports: []int{989, 990}}}},
			func(o *specs4.UDPRoute) { o.Spec.Matches.Ports = append(o.Spec.Matches.Ports, 53) },
			`{"spec":{"matches":{"ports":[53]}}}`),
	}, nil
}

func quantity(value string) *resource.Quantity {
	parsed := resource.MustParse(value)
	return &parsed
}

// firefox leaves out the API group, which the SDK sends as null.
func firefox() []corev1.TypedLocalObjectReference {
	return []corev1.TypedLocalObjectReference{{Kind: "HTTPRouteGroup", Name: "firefox"}}
}
