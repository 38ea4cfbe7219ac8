// Package v20170312 stands in for a cloud SDK that one of Flannel's backends links and a cluster of the
// lab never uses: its types satisfy the compiler, its calls fail.
package v20170312

import "errors"

var errStub = errors.New("not built into the lab")

type (
	Filter struct {
		Name   *string
		Values []*string
	}
	Route struct {
		RouteId                                                 *uint64
		DestinationCidrBlock, GatewayType, GatewayId, RouteType *string
		Enabled                                                 *bool
	}
	RouteTable struct {
		RouteTableId *string
		RouteSet     []*Route
	}
	DescribeRouteTablesRequest  struct{ Filters []*Filter }
	DescribeRouteTablesResponse struct {
		Response *struct{ RouteTableSet []*RouteTable }
	}
	RoutesRequest struct {
		RouteTableId *string
		Routes       []*Route
	}
	Client struct{}
)

func NewClientWithSecretId(id, key, region string) (*Client, error) { return nil, errStub }
func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}
func NewDeleteRoutesRequest() *RoutesRequest { return &RoutesRequest{} }
func NewCreateRoutesRequest() *RoutesRequest { return &RoutesRequest{} }
func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errStub
}
func (*Client) DeleteRoutes(*RoutesRequest) (struct{}, error) { return struct{}{}, errStub }
func (*Client) CreateRoutes(*RoutesRequest) (struct{}, error) { return struct{}{}, errStub }
