<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Nothing on a page makes a visitor's browser talk to a third party, and the servers do not either.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Gives an avatar drawn from the name, as an inline image: no request, no third party.
 *
 * @param string|null $html        Avatar so far.
 * @param mixed       $id_or_email User, comment, post, id or address.
 * @param array       $args        As get_avatar().
 */
function local_avatar( $html, $id_or_email, $args ): string {
	$name   = avatar_name( $id_or_email );
	$letter = mb_strtoupper( mb_substr( $name, 0, 1 ) );
	$size   = (int) $args['size'];
	return sprintf(
		'<svg class="avatar" width="%1$d" height="%1$d" viewBox="0 0 40 40" aria-hidden="true" focusable="false">'
		. '<rect width="40" height="40" rx="20" fill="hsl(%2$d 45%% 38%%)"/>'
		. '<text x="20" y="27" text-anchor="middle" font-size="19" fill="#fff">%3$s</text></svg>',
		$size,
		crc32( $name ) % 360,
		esc_html( $letter )
	);
}

/**
 * Finds the shown name behind what get_avatar() is given; never an address.
 *
 * @param mixed $source User, comment, post, id or address.
 */
function avatar_name( $source ): string {
	if ( $source instanceof \WP_Comment ) {
		$name = $source->comment_author;
	} elseif ( $source instanceof \WP_Post ) {
		$name = get_the_author_meta( 'display_name', (int) $source->post_author );
	} elseif ( $source instanceof \WP_User ) {
		$name = $source->display_name;
	} elseif ( is_numeric( $source ) ) {
		$name = get_the_author_meta( 'display_name', (int) $source );
	} else {
		$name = '';
	}
	return '' === (string) $name ? '?' : (string) $name;
}

/**
 * Removes the emoji script, its styles and the hints that name other hosts.
 */
function no_third_party(): void {
	remove_action( 'wp_head', 'print_emoji_detection_script', 7 );
	remove_action( 'admin_print_scripts', 'print_emoji_detection_script' );
	remove_action( 'wp_print_styles', 'print_emoji_styles' );
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_emoji_styles' );
	remove_action( 'admin_print_styles', 'print_emoji_styles' );
	remove_action( 'embed_head', 'print_emoji_detection_script' );
	foreach ( array( 'the_content_feed', 'comment_text_rss' ) as $filter ) {
		remove_filter( $filter, 'wp_staticize_emoji' );
	}
	remove_filter( 'wp_mail', 'wp_staticize_emoji_for_email' );
	add_filter( 'emoji_svg_url', '__return_false' );
	add_filter( 'wp_resource_hints', __NAMESPACE__ . '\own_hints', PHP_INT_MAX );
}

/**
 * Keeps only hints for this site.
 *
 * @param array $urls Hints: addresses or arrays with `href`.
 */
function own_hints( array $urls ): array {
	$own = wp_parse_url( home_url(), PHP_URL_HOST );
	return array_filter(
		$urls,
		static fn( $url ) => wp_parse_url( is_array( $url ) ? $url['href'] ?? '' : $url, PHP_URL_HOST ) === $own
	);
}

/**
 * Gives the answer of an update look-up that found nothing.
 */
function no_updates(): object {
	return (object) array(
		'last_checked'    => time(),
		'version_checked' => wp_get_wp_version(),
		'updates'         => array(),
		'response'        => array(),
		'translations'    => array(),
	);
}

/**
 * Stops update look-ups: code comes from packages, and outgoing requests are blocked anyway.
 */
function no_phoning_home(): void {
	foreach ( array( 'core', 'plugins', 'themes' ) as $kind ) {
		add_filter( "pre_site_transient_update_$kind", __NAMESPACE__ . '\no_updates' );
	}
	remove_action( 'wp_version_check', 'wp_version_check' );
	remove_action( 'wp_update_plugins', 'wp_update_plugins' );
	remove_action( 'wp_update_themes', 'wp_update_themes' );
	remove_action( 'init', 'wp_schedule_update_checks' );
	remove_action( 'admin_init', '_maybe_update_core' );
	remove_action( 'admin_init', '_maybe_update_plugins' );
	remove_action( 'admin_init', '_maybe_update_themes' );
	add_action(
		'wp_dashboard_setup',
		static fn() => remove_meta_box( 'dashboard_primary', 'dashboard', 'side' )
	);
}

if ( defined( 'WP_HTTP_BLOCK_EXTERNAL' ) && WP_HTTP_BLOCK_EXTERNAL ) {
	no_phoning_home();
}
add_filter( 'pre_get_avatar', __NAMESPACE__ . '\local_avatar', 10, 3 );
// Programs that ask only for the address of an avatar get none.
add_filter(
	'pre_get_avatar_data',
	static fn( array $args ) => array( 'url' => '', 'found_avatar' => false ) + $args
);
add_action( 'init', __NAMESPACE__ . '\no_third_party' );
// Comment forms remember a visitor only after a tick in the box.
add_filter( 'pre_option_show_comments_cookies_opt_in', static fn() => '1' );
add_filter( 'default_option_comment_moderation', static fn() => '1' );
