<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Set-up of the theme: what it supports, what it does not load, the footer's duties.
 */

namespace Perennial\Theme;

defined( 'ABSPATH' ) || exit;

require_once __DIR__ . '/lean.php';

/** Options of the footer: duties that a site's law may ask for. Empty ones are not shown. */
const FOOTER_OPTIONS = array( 'icp', 'police', 'complaint_url', 'terms_url', 'contact_url' );

/** Attributes of the picture of a post in a list. */
const CARD_IMAGE = array(
	'class' => 'card-image',
	'alt'   => '',
	'sizes' => '(max-width: 40rem) 100vw, 20rem',
);

/** Attributes of the picture at the head of a post. */
const LEAD_IMAGE = array(
	'class'         => 'entry-image',
	'loading'       => 'eager',
	'fetchpriority' => 'high',
);

/** Columns of text shown of a post in a list; a Chinese character takes two. */
const EXCERPT_WIDTH = 168;

/**
 * Declares what the theme supports.
 */
function setup(): void {
	load_theme_textdomain( 'perennial', get_template_directory() . '/languages' );
	foreach ( array(
		'title-tag',
		'automatic-feed-links',
		'post-thumbnails',
		'responsive-embeds',
		'editor-styles',
	) as $feature ) {
		add_theme_support( $feature );
	}
	add_theme_support(
		'html5',
		array(
			'comment-list',
			'comment-form',
			'search-form',
			'gallery',
			'caption',
			'style',
			'script',
			'navigation-widgets',
		)
	);
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
	if ( is_singular() && comments_open() && get_comments_number() > 0 && get_option( 'thread_comments' ) ) {
		wp_enqueue_script( 'comment-reply' );
	}
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
 * Gives the start of a post as plain text, by width, because Chinese has no spaces between words.
 *
 * Does not render the post as WordPress' own excerpt does: that is half the cost of a list page.
 *
 * @param \WP_Post $post Post.
 */
function excerpt( \WP_Post $post ): string {
	if ( post_password_required( $post ) ) {
		return '';
	}
	$source = '' === $post->post_excerpt ? strip_shortcodes(
		preg_replace( '/<!--.*?-->/s', '', $post->post_content )
	) : $post->post_excerpt;
	$plain  = html_entity_decode( wp_strip_all_tags( $source, true ), ENT_QUOTES | ENT_HTML5 );
	return mb_strwidth( $plain ) > EXCERPT_WIDTH ? mb_strimwidth( $plain, 0, EXCERPT_WIDTH, '…' ) : $plain;
}

/**
 * Gives the first letter or character of a title, for posts without a picture.
 *
 * @param string $title Title.
 */
function initial( string $title ): string {
	return preg_match( '/\p{L}/u', wp_strip_all_tags( $title ), $letter ) ? mb_strtoupper( $letter[0] ) : '·';
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
 * Prints a flat menu of a location.
 *
 * @param string $location `primary` or `footer`.
 */
function menu( string $location ): void {
	wp_nav_menu(
		array(
			'theme_location' => $location,
			'container'      => false,
			'menu_class'     => 'menu',
			'depth'          => 1,
		)
	);
}

/**
 * Prints an entry of the footer's list: a link, when both address and text are there.
 *
 * @param string $url  Address.
 * @param string $text Text.
 * @param string $name Class of the entry.
 */
function footer_entry( string $url, string $text, string $name ): void {
	if ( '' !== $url && '' !== $text ) {
		printf( '<li class="%s"><a href="%s">%s</a></li>', esc_attr( $name ), esc_url( $url ), esc_html( $text ) );
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
add_action( 'wp_enqueue_scripts', __NAMESPACE__ . '\assets' );
add_action( 'init', __NAMESPACE__ . '\register_options' );
