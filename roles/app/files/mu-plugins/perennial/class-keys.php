<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Collects the cache keys of the response being made.
 *
 * Whatever a page links to (posts, terms, authors, files) passes WordPress' link filters, so listening
 * there finds every object a page shows, in any theme, without a query.
 */
final class Keys {

	/** Longest list of keys sent, bytes: proxies limit a header line to 8 KiB at most. */
	private const MAX_BYTES = 2500;

	/**
	 * Keys collected so far, as array keys.
	 *
	 * @var array<string, true>
	 */
	private static array $keys = array();

	/**
	 * Adds keys to the response.
	 *
	 * @param string ...$keys Cache keys.
	 */
	public static function add( string ...$keys ): void {
		self::$keys += array_fill_keys( $keys, true );
	}

	/**
	 * Starts listening; called only for responses that may become public.
	 */
	public static function listen(): void {
		foreach ( array( 'post_link', 'page_link', 'post_type_link', 'attachment_link' ) as $filter ) {
			add_filter( $filter, array( self::class, 'see_post' ), 10, 2 );
		}
		add_filter( 'term_link', array( self::class, 'see_term' ), 10, 2 );
		add_filter( 'author_link', array( self::class, 'see_author' ), 10, 2 );
		add_filter( 'the_author', array( self::class, 'see_name' ) );
		add_filter( 'wp_get_attachment_url', array( self::class, 'see_file' ), 10, 2 );
		add_action( 'pre_get_posts', array( self::class, 'see_query' ) );
		add_filter( 'get_previous_post_where', array( self::class, 'see_list' ) );
		add_filter( 'get_next_post_where', array( self::class, 'see_list' ) );
		add_action( 'dynamic_sidebar', array( self::class, 'see_list' ) );
	}

	/**
	 * Notes a linked post.
	 *
	 * @param string       $link The link, returned as it is.
	 * @param \WP_Post|int $post The post or its ID.
	 */
	public static function see_post( $link, $post ) {
		self::add( 'p' . ( is_object( $post ) ? $post->ID : (int) $post ) );
		return $link;
	}

	/**
	 * Notes a linked term.
	 *
	 * @param string   $link The link, returned as it is.
	 * @param \WP_Term $term The term.
	 */
	public static function see_term( $link, $term ) {
		self::add( 't' . $term->term_id );
		return $link;
	}

	/**
	 * Notes a linked author.
	 *
	 * @param string $link    The link, returned as it is.
	 * @param int    $user_id The author.
	 */
	public static function see_author( $link, $user_id ) {
		self::add( 'a' . (int) $user_id );
		return $link;
	}

	/**
	 * Notes a shown author, in the loop.
	 *
	 * @param string|null $name The name, returned as it is.
	 */
	public static function see_name( $name ) {
		self::add( 'a' . (int) ( $GLOBALS['authordata']->ID ?? 0 ) );
		return $name;
	}

	/**
	 * Notes a linked file.
	 *
	 * @param string $url The address, returned as it is.
	 * @param int    $id  The attachment.
	 */
	public static function see_file( $url, $id ) {
		self::add( 'm' . (int) $id );
		return $url;
	}

	/**
	 * Notes that the page holds a list of its own (recent posts, neighbours): any publication changes it.
	 *
	 * @param mixed $value Filtered value, returned as it is.
	 */
	public static function see_list( $value ) {
		self::add( 'list' );
		return $value;
	}

	/**
	 * Notes secondary queries of posts that readers see.
	 *
	 * @param \WP_Query $query The query.
	 */
	public static function see_query( \WP_Query $query ): void {
		$types = array_filter( (array) $query->get( 'post_type' ) );
		if ( ! $query->is_main_query() && (
			array() === $types || array_filter( $types, static fn( $t ) => ! is_structural( $t ) )
		) ) {
			self::add( 'list' );
		}
	}

	/**
	 * Gives the value of X-Keys.
	 *
	 * A list too long for a header becomes `many`, a key that every ban carries.
	 */
	public static function header(): string {
		$list = implode( ' ', array_keys( array( site_key() => true ) + self::$keys ) );
		return strlen( $list ) > self::MAX_BYTES ? site_key() . ' many' : $list;
	}
}
