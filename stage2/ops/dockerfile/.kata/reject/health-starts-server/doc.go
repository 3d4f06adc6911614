// The health check starts the program without -health: a second server, which fails on the port that is taken.
//
//kata:caught-by TestHealthStated
package dockerfile
