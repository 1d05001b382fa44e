<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Set-up of the theme: what it supports, what it does not load, the footer's duties.
 */

namespace Perennial\Theme;

defined( 'ABSPATH' ) || exit;

/** Options of the footer: duties that a site's law may ask for. Empty ones are not shown. */
const FOOTER_OPTIONS = array( 'icp', 'police', 'complaint_url', 'terms_url', 'contact_url' );

/**
 * Declares what the theme supports.
 */
function setup(): void {
	load_theme_textdomain( 'perennial', get_template_directory() . '/languages' );
	foreach ( array( 'title-tag', 'automatic-feed-links', 'post-thumbnails', 'responsive-embeds', 'editor-styles' ) as $feature ) {
		add_theme_support( $feature );
	}
	add_theme_support( 'html5', array( 'comment-list', 'comment-form', 'search-form', 'gallery', 'caption', 'style', 'script', 'navigation-widgets' ) );
	add_editor_style( 'style.css' );
	register_nav_menus(
		array(
			'primary' => __( 'Main menu', 'perennial' ),
			'footer'  => __( 'Footer menu', 'perennial' ),
		)
	);
	$GLOBALS['content_width'] = 680;
}

/**
 * Loads one style sheet, and the reply script only where a reply is possible.
 */
function assets(): void {
	wp_enqueue_style( 'perennial', get_stylesheet_uri(), array(), (string) filemtime( __DIR__ . '/style.css' ) );
	if ( is_singular() && comments_open() && get_option( 'thread_comments' ) ) {
		wp_enqueue_script( 'comment-reply' );
	}
}

/**
 * Drops what this theme's pages do not use: building the global styles costs a third of a page.
 */
function lean(): void {
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_global_styles' );
	remove_action( 'wp_footer', 'wp_enqueue_global_styles', 1 );
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_classic_theme_styles' );
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_stored_styles' );
	remove_action( 'wp_footer', 'wp_enqueue_stored_styles', 1 );
	remove_action( 'wp_body_open', 'wp_global_styles_render_svg_filters' );
	remove_action( 'wp_head', 'wp_print_auto_sizes_contain_css_fix', 1 );
	add_filter( 'should_load_separate_core_block_assets', '__return_true' );
}

/**
 * Gives a footer option.
 *
 * @param string $name One of FOOTER_OPTIONS.
 */
function footer_option( string $name ): string {
	return trim( (string) get_option( "perennial_theme_$name", '' ) );
}

/**
 * Shortens excerpts by characters, because Chinese has no spaces between words.
 *
 * @param string $text Excerpt.
 */
function short_excerpt( string $text ): string {
	$plain = trim( preg_replace( '/\s+/u', ' ', wp_strip_all_tags( $text ) ) );
	return mb_strwidth( $plain ) > 170 ? mb_strimwidth( $plain, 0, 168, '…' ) : $plain;
}

/**
 * Registers the footer's options with their clean-up.
 */
function register_options(): void {
	foreach ( FOOTER_OPTIONS as $name ) {
		$clean = str_ends_with( $name, '_url' ) ? 'sanitize_url' : 'sanitize_text_field';
		register_setting( 'general', "perennial_theme_$name", array( 'sanitize_callback' => $clean ) );
	}
}

/**
 * Prints date and author of the present post.
 */
function meta(): void {
	printf(
		'<p class="meta"><time datetime="%s">%s</time><span>%s</span></p>',
		esc_attr( get_the_date( 'c' ) ),
		esc_html( get_the_date() ),
		esc_html( get_the_author() )
	);
}

add_action( 'after_setup_theme', __NAMESPACE__ . '\setup' );
add_action( 'after_setup_theme', __NAMESPACE__ . '\lean' );
add_action( 'wp_enqueue_scripts', __NAMESPACE__ . '\assets' );
add_action( 'init', __NAMESPACE__ . '\register_options' );
add_filter( 'excerpt_more', static fn() => '…' );
