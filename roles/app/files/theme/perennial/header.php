<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Head, banner and main menu.
 */

defined( 'ABSPATH' ) || exit;
?>
<!DOCTYPE html>
<html <?php language_attributes(); ?>>
<head>
<meta charset="<?php bloginfo( 'charset' ); ?>">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="theme-color" content="#14594a">
<?php wp_head(); ?>
</head>
<body <?php body_class(); ?>>
<?php wp_body_open(); ?>
<a class="skip-link" href="#content"><?php esc_html_e( 'Skip to content', 'perennial' ); ?></a>
<header class="site-header">
	<div class="wrap">
		<p class="brand">
			<a class="site-title" href="<?php echo esc_url( home_url( '/' ) ); ?>" rel="home">
				<?php bloginfo( 'name' ); ?>
			</a>
			<?php if ( '' !== get_bloginfo( 'description' ) ) : ?>
				<span class="tagline"><?php bloginfo( 'description' ); ?></span>
			<?php endif; ?>
		</p>
		<nav aria-label="<?php esc_attr_e( 'Main menu', 'perennial' ); ?>">
			<?php
			if ( has_nav_menu( 'primary' ) ) {
				Perennial\Theme\menu( 'primary' );
			} else {
				wp_page_menu(
					array(
						'menu_class' => 'menu',
						'container' => 'ul',
						'before' => '',
						'after' => '',
						'depth' => 1,
						'number' => 6,
						'show_home' => true,
					)
				);
			}
			?>
		</nav>
		<?php get_search_form(); ?>
	</div>
</header>
<main id="content" class="site-main" tabindex="-1">
	<div class="wrap">
