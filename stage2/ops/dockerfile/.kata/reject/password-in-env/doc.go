// A default for the database's address, with its password, in ENV: docker inspect shows it to everybody.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
