// The health check calls curl, as in every tutorial; the image holds no curl.
//
//kata:caught-by TestHealthStated
package dockerfile
