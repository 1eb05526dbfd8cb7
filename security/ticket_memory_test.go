package security_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/usher/security"
)

// crowd asks for n tickets, and returns the answers by status.
func crowd(handler http.Handler, n int, path, origin, name string) map[int]int {
	answers := map[int]int{}
	for i := range n {
		answers[ask(handler, path, origin, strings.Replace(name, "#", strconv.Itoa(i), 1)).Code]++
	}
	return answers
}

// TestOneAccountLocksNobodyOut: what the unused tickets of one principal take is bounded in bytes,
// and leaves room for all others.
func TestOneAccountLocksNobodyOut(t *testing.T) {
	byPointer := func(r *http.Request) (*account, error) {
		who, err := byName(r)
		return &who, err
	}
	unidentified := func(r *http.Request) (account, error) { return account{r.Header.Get("X-Name")}, nil }
	for name, handler := range map[string]http.Handler{
		"identified":           (&security.Tickets[account]{}).Handler(byName),
		"identified, by value": (&security.Tickets[*account]{}).Handler(byPointer),
		"without an identity":  (&security.Tickets[account]{}).Handler(unidentified),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := crowd(handler, 1500, "/ws", page, "mallory")
				if got[http.StatusOK] != 300 || got[http.StatusTooManyRequests] != 1200 {
					t.Errorf("mallory: %v", got)
				}
				long := "/" + strings.Repeat("x", 2000)
				if got = crowd(handler, 500, long, page, "trudy"); got[http.StatusOK] != 300 {
					t.Errorf("long paths: %v", got)
				}
				refused := ask(handler, "/ws", page, "trudy")
				if refused.Code != http.StatusTooManyRequests || refused.Header().Get("Retry-After") != "30" || !strings.Contains(refused.Body.String(), "too_many_tickets") {
					t.Errorf("refused with %d %v %s", refused.Code, refused.Header(), refused.Body)
				}
				if w := ask(handler, "/ws", page, "alice"); w.Code != http.StatusOK {
					t.Errorf("alice: %d", w.Code)
				}
				time.Sleep(61 * time.Second)
				if w := ask(handler, "/ws", page, "trudy"); w.Code != http.StatusOK {
					t.Errorf("when hers have expired: %d", w.Code)
				}
			})
		})
	}
}

// TestTicketsThatAreUsedCountForNothing.
func TestTicketsThatAreUsedCountForNothing(t *testing.T) {
	tickets := &security.Tickets[account]{}
	handler := tickets.Handler(byName)
	for range 3000 {
		ticket := ticketOf(t, ask(handler, "/", "", "ann"))
		r, _ := http.NewRequest(http.MethodGet, "/?ticket="+ticket, nil) //nolint:noctx // it goes nowhere
		if _, err := security.Authenticate(r, security.Scheme[account](tickets)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnOriginThatNoBrowserSends: a ticket holds no more of a request than one may have.
func TestAnOriginThatNoBrowserSends(t *testing.T) {
	handler := (&security.Tickets[account]{}).Handler(byName)
	for origin, status := range map[string]int{
		"https://" + strings.Repeat("x", 14<<10): http.StatusForbidden,
		"https://" + strings.Repeat("x", 505):    http.StatusForbidden,
		"https://" + strings.Repeat("x", 504):    http.StatusOK,
		"":                                       http.StatusOK,
	} {
		if w := ask(handler, "/ws", origin, "ann"); w.Code != status {
			t.Errorf("%d bytes: %d %s", len(origin), w.Code, w.Body)
		}
	}
}
